"""The comparison of Table III on HRSID, official split.

HRSID's images were cut from 136 scenes with an overlap. Training images that show a test image are left out, in every
arm; figures are therefore not those of the published protocol, for which leakage = "warn" and no override will do.
"""

_base_ = "table3.py"

title = "As Table III: HRSID"
detectors = ["../detect/faster-rcnn_r50_hrsid.py", "../detect/yolov3_d53_hrsid.py"]
overrides = {"data.drop_leaked_train": True}
