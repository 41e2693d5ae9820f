# Symmetric InfoNCE in place of the bridge loss, on windows of 128 px at the native size of pixels: the best matching of
# the study on real pairs, and by the transfer probe above its start, but no higher than its placebo
# (docs/studies/matching.md). Few epochs: with a thousand pairs it overfits soon.
_base_ = "bnn_resnet18.py"

model = dict(loss=dict(_delete_=True, type="InfoNCE"), head_norm=True)

augment = dict(crop_px=128)

train = dict(epochs=8)
