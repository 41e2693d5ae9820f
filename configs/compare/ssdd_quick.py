"""SSDD with few labels and few steps: what two CPU cores can settle in half an hour, which is not much.

Made for SSDD's training images alone, with split files that part them into train and val; scored on val.
"""

title = "SSDD, quick"
detectors = ["../detect/faster-rcnn_r18_ssdd.py"]
seeds = [0, 1]

# Images of SSDD are cut from larger scenes and overlap: most of val is shown by images of train. Here that is said
# beside the figures; "data.drop_leaked_train": True below leaves 340 of the 812 training images out instead.
leakage = "warn"

# ImageNet weights may be incomplete here: the arm is then called "imagenet (partial)".
min_coverage = dict(imagenet=0.8)

overrides = {
    "data.train_split": "train",
    "data.test_split": "val",
    "data.tile_px": 256,
    "data.overlap_px": 64,
    "data.train_fraction": 0.1,
    # mmdet's optimiser and rate; so few epochs that a cosine serves better than steps. Settled on the scratch arm
    # with a part of the training images held back, never on val.
    "train.epochs": 4,
    "train.schedule": "cosine",
    "train.warmup_steps": 30,
    "train.batch_size": 4,
    "train.checkpoint_epochs": 0,
    "test.precision": "auto",
    # fewer proposals: a tile of 256 px does not hold more ships
    "model.train_cfg.rcnn.sampler.num": 128,
    "model.train_cfg.rpn_proposal.nms_pre": 500,
    "model.train_cfg.rpn_proposal.max_per_img": 256,
    "model.test_cfg.rpn.nms_pre": 300,
    "model.test_cfg.rpn.max_per_img": 100,
}
