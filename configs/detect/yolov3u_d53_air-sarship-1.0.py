_base_ = ["_base_/yolov3u.py", "_base_/air-sarship-1.0.py", "_base_/schedule_yolov3u.py"]

detector = "yolov3u"
architecture = "darknet53"
