"""SSDD, all labels, with a learning rate of its own for every arm (docs/studies/ssdd.md).

The study's one rate was settled on the scratch arm. Here every arm tries the same three on held-out training images,
and everything else is as in the study.
"""

_base_ = "ssdd_study.py"

title = "SSDD, a rate for each arm"
fractions = [1.0]
tune = dict(lrs=[1e-4, 3e-4, 1e-3], seeds=[0], fraction=0.2)
