_base_ = ["_base_/faster-rcnn.py", "_base_/hrsid.py", "_base_/schedule.py"]

detector = "faster-rcnn_r50"
architecture = "resnet50"
