"""Two small detectors on simulated scenes: shows that the chain works, and nothing about real SAR images."""

title = "Demonstration on simulated scenes"
detectors = ["../detect/demo_faster-rcnn_r18.py", "../detect/demo_yolov3_narrow.py"]
seeds = [0]
min_coverage = dict(imagenet=0.8)
