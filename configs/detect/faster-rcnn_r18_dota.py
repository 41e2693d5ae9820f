_base_ = ["_base_/faster-rcnn.py", "_base_/dota.py", "_base_/schedule.py"]

detector = "faster-rcnn_r18"
architecture = "resnet18"
