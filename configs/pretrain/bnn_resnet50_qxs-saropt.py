# Table II of the QXS-SAROPT paper, ResNet-50, with nothing changed: the reference constants, a partner drawn anew
# every epoch for each pair in a pass of its own, float32, and the paper's random split of 70 to 30. With
# --init and ImageNet weights a run of it lists no departure; without, it lists its random start.
#
#   osm pretrain configs/pretrain/bnn_resnet50_qxs-saropt.py --data-root QXS-SAROPT --init resnet50-0676ba61.pth ...
#
# Neighbouring patches overlap, so that a random split leaks from the test part into the training part:
# --set data.split=blocked keeps neighbours together, and its figures are the ones to believe.
# bnn_resnet50.py learns the same in expectation for less: negatives from the batch, bfloat16.
_base_ = "bnn_resnet50.py"

model = dict(negatives="reference")

data = dict(split="paper")

train = dict(precision="float32")
