# The whole of stage 1 in about a minute on two CPU cores, on a few hundred simulated pairs of 128 px: enough to
# leave the plateau of the bridge loss, far too little to learn much.
_base_ = "bnn_resnet18.py"

train = dict(epochs=8, batch_size=16, optimizer=dict(lr=1e-3))

init_min_coverage = 1.0
