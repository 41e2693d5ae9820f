"""Simulated AIR-SARShip-1.0 scenes of 512 px and a schedule of minutes on two CPU cores."""

data = dict(kind="air-sarship-1.0", radiometry="percentile:0.5,99.5", tile_px=256, overlap_px=64)

train = dict(
    epochs=10,
    batch_size=4,
    optimizer=dict(type="AdamW", lr=5e-4, weight_decay=1e-2),
    warmup_steps=20,
    schedule="cosine",
    checkpoint_epochs=0,
)

test = dict(precision="auto")
