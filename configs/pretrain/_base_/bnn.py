# The bridge network with the constants of its papers (Xu et al., AAAI 2019; Huang et al., QXS-SAROPT,
# section III-A). Two things are said otherwise than in the reference code, and neither changes what is
# learned in expectation: negatives are drawn inside the batch (reference: a further pass for each one;
# say negatives="reference" for that), and the forward pass runs in bfloat16 where the
# device has instructions for it (say precision="float32").
# metrics.json lists every departure of a run under "departures".

model = dict(
    type="BridgeNetwork",
    architecture="resnet50",
    loss=dict(type="BridgeLoss", alpha=1.0),
    negatives="in-batch",
    dimensions=20,
    threshold=0.38,
)

data = dict(split="auto", train_fraction=0.7, split_seed=0, size_px=256, workers=2)

train = dict(
    epochs=200,
    batch_size=32,
    # no momentum, no weight decay; the reference's schedule never acts, so the rate is constant
    optimizer=dict(type="SGD", lr=0.005, momentum=0.0, weight_decay=0.0),
    schedule="constant",
    warmup_epochs=0.0,
    precision="auto",
    seed=0,
    log_every_steps=50,
    checkpoint_every_epochs=1,
)

# --init must fill every tensor of both backbones
init_min_coverage = 1.0
