# What all recipes of the matching study share (benchmarks/matching_study.py); only the objective and the remedies
# differ. Windows of 128 px at the native size of pixels, since ships are a few pixels long; few epochs, since five
# hundred pairs are overfitted soon; AdamW as in bnn_resnet18.py; batch norm at the end of the heads, without which
# nothing is learned in so few epochs (docs/studies/matching.md).
_base_ = "bnn_resnet18.py"

model = dict(head_norm=True)

data = dict(size_px=128, workers=0, split="scene")

augment = dict(crop_px=128)

train = dict(epochs=8, optimizer=dict(lr=3e-4, weight_decay=0.01), checkpoint_every_epochs=8)
