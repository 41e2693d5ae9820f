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

train = dict(
    epochs=6,
    batch_size=4,
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=0.05),
    warmup_steps=30,
    schedule="cosine",
    checkpoint_epochs=0,
)

test = dict(precision="bfloat16")
