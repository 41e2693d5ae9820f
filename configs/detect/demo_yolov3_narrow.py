_base_ = ["_base_/yolov3.py", "_base_/demo.py"]

detector = "yolov3_darknet-narrow"
architecture = "darknet-narrow"

model = dict(
    neck=dict(out_channels=[128, 96, 64]),
    bbox_head=dict(in_channels=[128, 96, 64], out_channels=[256, 192, 128]),
)
train = dict(epochs=30)
