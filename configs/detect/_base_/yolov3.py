"""mmdet's YOLOv3, for one class; the backbone is put in by `architecture`."""

_base_ = "mmdet::yolo/yolov3_d53_8xb8-ms-608-273e_coco.py"

model = dict(bbox_head=dict(num_classes=1), test_cfg=dict(score_thr=0.01, conf_thr=0.005))
