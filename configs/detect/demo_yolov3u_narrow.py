_base_ = ["_base_/yolov3u.py", "_base_/demo.py"]

detector = "yolov3u_darknet-narrow"
architecture = "darknet-narrow"

train = dict(epochs=30)
