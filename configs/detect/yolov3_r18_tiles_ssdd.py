"""YOLOv3 on tiles of a quarter of an SSDD image, for as many steps as a CPU makes in a minute."""

_base_ = ["_base_/yolov3.py", "_base_/ssdd.py", "_base_/schedule_yolov3.py"]

detector = "yolov3_r18_tiles"
architecture = "resnet18"

data = dict(max_tiles=640)
train = dict(min_steps=150, batch_size=4)
