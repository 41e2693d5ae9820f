_base_ = ["_base_/yolov3.py", "_base_/dota.py", "_base_/schedule_yolov3.py"]

detector = "yolov3_d53"
architecture = "darknet53"
