"""YOLOv3 that a CPU core trains in a minute: half the channels behind the backbone, where most of the work is."""

_base_ = ["_base_/yolov3.py", "_base_/ssdd.py", "_base_/schedule_yolov3.py"]

detector = "yolov3_r18_narrow"
architecture = "resnet18"

model = dict(
    neck=dict(out_channels=[256, 128, 64]),
    bbox_head=dict(in_channels=[256, 128, 64], out_channels=[512, 256, 128]),
)
