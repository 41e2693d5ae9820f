# Table II, ResNet-50: the reference constants as they are.
_base_ = "_base_/bnn.py"
