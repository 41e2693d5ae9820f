"""Table III of Bao et al. (arXiv 2103.08251) on AIR-SARShip-1.0, with the spread of five seeds.

The paper's 21 training and 10 test scenes. Arms: scratch is always there; give the others as

    --arm imagenet --arm osm=R50.safetensors --arm osm=D53.safetensors

and the placebo, which tells what matching adds to having seen SAR, as

    --arm osm-shuffled=R50-placebo.safetensors --arm osm-shuffled=D53-placebo.safetensors

pretrained by the same config with --set model.placebo=True. The card of each file is checked for it.
"""

title = "Table III: AIR-SARShip-1.0"
detectors = ["../detect/faster-rcnn_r50_air-sarship-1.0.py", "../detect/yolov3_d53_air-sarship-1.0.py"]
seeds = [0, 1, 2, 3, 4]
leakage = "stop"
