"""SSDD: the official split; an image is a scene, and nearly all fit one tile of 512 px."""

data = dict(kind="ssdd", radiometry="none", tile_px=512, overlap_px=128)
