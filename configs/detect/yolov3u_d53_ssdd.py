_base_ = ["_base_/yolov3u.py", "_base_/ssdd.py", "_base_/schedule_yolov3u.py"]

detector = "yolov3u"
architecture = "darknet53"
