"""As table3.py, with both pretrainings of the paper and the fusion of what their detectors find.

Give, beside the arms of table3.py, the backbones of two detectors of optical ships (docs/osd.md):

    --arm osd=R50.safetensors --arm osd=D53.safetensors

The fusion needs pip install 'osm-ssd[fusion]'.
"""

_base_ = "table3.py"

title = "Table III with OSD pretraining: AIR-SARShip-1.0"
fuse = [("osd", "osm")]
