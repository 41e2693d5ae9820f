# What all recipes of the matching study share (benchmarks/matching_study.py); only the objective and the remedies
# differ. Windows of 128 px at the native size of pixels, since ships are a few pixels long; few epochs, since five
# hundred pairs are overfitted soon; AdamW as in bnn_resnet18.py.
_base_ = "bnn_resnet18.py"

data = dict(size_px=128, workers=0, split="scene")

augment = dict(crop_px=128)

train = dict(epochs=12, optimizer=dict(lr=3e-4, weight_decay=0.01), checkpoint_every_epochs=12)
