"""mmdet's one-time schedule (SGD, 12 epochs), its learning rate scaled to a batch of 8."""

train = dict(
    epochs=12,
    batch_size=8,
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=1e-4),
    warmup_steps=500,
    schedule="step",
    clip_norm=10.0,
)
