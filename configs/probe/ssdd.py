"""The transfer probe on SSDD: a tenth of the training list, about 81 images."""

_base_ = "_base_/atss.py"

architecture = "resnet18"

data = dict(
    kind="ssdd",
    radiometry="none",
    train_split="train",
    test_split="val",
    tile_px=384,
    overlap_px=64,
    train_fraction=0.1,
)

# Settled on the scratch arm alone, with training images held back, never on val: tiles of 192, 256, 384 and 512 px,
# batches of 4 and 8, a level of stride 4, the mean of the last weights, and the learning rates 1e-3 and 4e-4.
train = dict(
    epochs=6,
    batch_size=4,
    optimizer=dict(type="AdamW", lr=4e-4, weight_decay=0.05),
    warmup_steps=30,
    schedule="cosine",
    checkpoint_epochs=0,
)

test = dict(precision="auto")
