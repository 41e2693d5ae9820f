_base_ = ["_base_/faster-rcnn.py", "_base_/demo.py"]

detector = "faster-rcnn_r18"
architecture = "resnet18"

# fewer proposals: a tile of 256 px does not hold more ships
model = dict(
    train_cfg=dict(rcnn=dict(sampler=dict(num=128)), rpn_proposal=dict(nms_pre=500, max_per_img=256)),
    test_cfg=dict(rpn=dict(nms_pre=300, max_per_img=100)),
)
