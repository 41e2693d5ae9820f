_base_ = ["_base_/faster-rcnn.py", "_base_/air-sarship-2.0.py", "_base_/schedule.py"]

detector = "faster-rcnn_r18"
architecture = "resnet18"
