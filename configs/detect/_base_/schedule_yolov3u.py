"""ultralytics' SGD (lr 0.01 for a batch of 64, scaled to 8), with as many epochs as mmdet's YOLOv3 is given here."""

train = dict(
    epochs=100,
    batch_size=8,
    optimizer=dict(type="SGD", lr=0.00125, momentum=0.937, weight_decay=5e-4),
    warmup_steps=1000,
    schedule="cosine",
    clip_norm=10.0,
)
