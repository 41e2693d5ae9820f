# Table II of the QXS-SAROPT paper, Darknet-53: as bnn_resnet50_qxs-saropt.py, with one departure that a run lists.
# Published Darknet-53 weights were trained on values divided by 255, and YOLOv3 feeds its backbone so; the reference
# subtracts ImageNet's mean and divides by its standard deviation whatever the backbone. A backbone that is to start
# from those weights and to end in that detector is fed as both are.
_base_ = "bnn_resnet50_qxs-saropt.py"

model = dict(architecture="darknet53")
