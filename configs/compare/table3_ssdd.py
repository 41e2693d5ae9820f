"""The comparison of Table III on SSDD, official split.

SSDD's images overlap, also across its official parts. Training images that show a test image are left out, in every
arm; figures are therefore not those of the published protocol, for which leakage = "warn" and no override will do.
"""

_base_ = "table3.py"

title = "As Table III: SSDD"
detectors = ["../detect/faster-rcnn_r50_ssdd.py", "../detect/yolov3_d53_ssdd.py"]
overrides = {"data.drop_leaked_train": True}
