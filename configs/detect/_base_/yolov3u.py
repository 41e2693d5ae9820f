"""YOLOv3u, trained by ultralytics (AGPL-3.0, the extra `ultralytics`): Darknet and the neck of YOLOv3 under an
anchor-free head. Not mmdet's YOLOv3, and never in one column with it."""

engine = "ultralytics"

# words and values of mmdet's YOLOv3
model = dict(score_thr=0.01, nms_pre=1000, nms_iou=0.45, max_per_img=100)
