"""The probe at its smallest, on simulated scenes: shows that it works, and nothing about real SAR images."""

_base_ = "ssdd.py"

architecture = "darknet-narrow"

data = dict(
    kind="air-sarship-1.0",
    radiometry="percentile:0.5,99.5",
    test_split="test",
    tile_px=128,
    overlap_px=32,
    train_fraction=0.5,
)

train = dict(epochs=4, optimizer=dict(lr=1e-3))
