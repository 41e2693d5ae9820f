"""The comparison of Table III on AIR-SARShip-2.0, which has no official split: see configs/detect/_base_."""

_base_ = "table3.py"

title = "As Table III: AIR-SARShip-2.0"
detectors = ["../detect/faster-rcnn_r50_air-sarship-2.0.py", "../detect/yolov3_d53_air-sarship-2.0.py"]

# its images may overlap: those of the training part that show a test image are left out
overrides = {"data.drop_leaked_train": True}
