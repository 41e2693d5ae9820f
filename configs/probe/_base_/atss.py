"""mmdet's ATSS, made small: one layer of 64 channels in each tower, strides 8 to 64."""

_base_ = "mmdet::atss/atss_r50_fpn_1x_coco.py"

detector = "atss_small"

model = dict(
    neck=dict(out_channels=64, num_outs=4),
    bbox_head=dict(
        num_classes=1,
        in_channels=64,
        feat_channels=64,
        stacked_convs=1,
        norm_cfg=dict(type="GN", num_groups=16, requires_grad=True),
        # a ship is small: boxes of 32 px at the finest stride
        anchor_generator=dict(octave_base_scale=4, strides=[8, 16, 32, 64]),
    ),
    # a ship that is mostly cut off at the border of a tile is neither a ship nor background
    train_cfg=dict(assigner=dict(ignore_iof_thr=0.5)),
    test_cfg=dict(nms_pre=300, score_thr=0.01, nms=dict(iou_threshold=0.5), max_per_img=50),
)
