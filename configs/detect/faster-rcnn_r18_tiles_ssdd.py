"""Faster R-CNN on tiles of a quarter of an SSDD image, for as many steps as a CPU makes in a minute.

Such a tile does not hold more ships than fewer proposals find.
"""

_base_ = ["_base_/faster-rcnn.py", "_base_/ssdd.py", "_base_/schedule.py"]

detector = "faster-rcnn_r18_tiles"
architecture = "resnet18"

data = dict(max_tiles=260)
train = dict(min_steps=120, batch_size=2)
model = dict(
    train_cfg=dict(rcnn=dict(sampler=dict(num=128)), rpn_proposal=dict(nms_pre=500, max_per_img=256)),
    test_cfg=dict(rpn=dict(nms_pre=300, max_per_img=100)),
)
