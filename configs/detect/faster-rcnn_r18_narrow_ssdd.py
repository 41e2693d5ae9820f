"""Faster R-CNN that a CPU core trains in a minute: half the channels behind the backbone, where most of the work is.

Fewer proposals too: a tile of 256 px does not hold more ships.
"""

_base_ = ["_base_/faster-rcnn.py", "_base_/ssdd.py", "_base_/schedule.py"]

detector = "faster-rcnn_r18_narrow"
architecture = "resnet18"

model = dict(
    neck=dict(out_channels=128),
    rpn_head=dict(in_channels=128, feat_channels=128),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=128),
        bbox_head=dict(in_channels=128, fc_out_channels=512),
    ),
    train_cfg=dict(rcnn=dict(sampler=dict(num=128)), rpn_proposal=dict(nms_pre=500, max_per_img=256)),
    test_cfg=dict(rpn=dict(nms_pre=300, max_per_img=100)),
)
