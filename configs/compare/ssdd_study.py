"""SSDD, label efficiency: what two CPU cores settle in three hours (docs/studies/ssdd.md).

Made for SSDD's training images alone, with split files that part them into train and val; scored on val.
"""

title = "SSDD, label efficiency"
detectors = ["../detect/faster-rcnn_r18_narrow_ssdd.py", "../detect/yolov3_r18_narrow_ssdd.py"]
seeds = [0, 1, 2]
fractions = [0.05, 0.1, 0.25, 1.0]

# ImageNet weights may be incomplete here: the arm is then called "imagenet (partial)".
min_coverage = dict(imagenet=0.8)

overrides = {
    "data.train_split": "train",
    "data.test_split": "val",
    # Images of SSDD are cut from larger scenes and overlap: training images that show what a test image shows are
    # left out, 340 of 812.
    "data.drop_leaked_train": True,
    # Trained on tiles of a quarter of an image, searched whole.
    "data.tile_px": 256,
    "data.overlap_px": 64,
    "test.tile_px": 512,
    # About one budget of 180 steps at every fraction: where labels are many, the seed draws the tiles. AdamW, since so
    # few steps leave SGD far from where it would end; one rate for both detectors. Settled on the scratch arm with a
    # part of the training images held back, never on val.
    "data.max_tiles": 360,
    "train.epochs": 1,
    "train.min_steps": 170,
    "train.batch_size": 4,
    "train.optimizer": dict(_delete_=True, type="AdamW", lr=3e-4, weight_decay=0.05),
    "train.schedule": "cosine",
    "train.warmup_steps": 30,
    "train.checkpoint_epochs": 0,
    "test.precision": "auto",
}
