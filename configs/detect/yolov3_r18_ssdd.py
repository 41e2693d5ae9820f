_base_ = ["_base_/yolov3.py", "_base_/ssdd.py", "_base_/schedule_yolov3.py"]

detector = "yolov3_r18"
architecture = "resnet18"
