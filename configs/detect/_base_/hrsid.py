"""HRSID: the official split (3,642 and 1,962 images of 800 px); an image is a scene and one tile."""

data = dict(kind="hrsid", radiometry="none", tile_px=800, overlap_px=0)
