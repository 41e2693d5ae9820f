# Table II, Darknet-53: the reference constants as they are.
_base_ = "_base_/bnn.py"

model = dict(architecture="darknet53")
