"""mmdet's settings for YOLOv3 (SGD, lr 0.001 for a batch of 64), with fewer epochs."""

train = dict(
    epochs=100,
    batch_size=8,
    optimizer=dict(type="SGD", lr=0.001, momentum=0.9, weight_decay=5e-4),
    warmup_steps=1000,
    schedule="step",
    clip_norm=35.0,
)
