# As demo_resnet18.py, with the backbone of the demo's YOLOv3.
_base_ = "demo_resnet18.py"

model = dict(architecture="darknet-narrow")

train = dict(epochs=10)
