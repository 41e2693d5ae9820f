"""mmdet's Faster R-CNN with FPN, for one class; the backbone is put in by `architecture`."""

_base_ = "mmdet::_base_/models/faster-rcnn_r50_fpn.py"

# A ship that is mostly cut off at the border of a tile is neither a ship nor background.
model = dict(
    roi_head=dict(bbox_head=dict(num_classes=1)),
    train_cfg=dict(rpn=dict(assigner=dict(ignore_iof_thr=0.5)), rcnn=dict(assigner=dict(ignore_iof_thr=0.5))),
    test_cfg=dict(rcnn=dict(score_thr=0.01)),
)
