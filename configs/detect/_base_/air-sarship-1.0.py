"""AIR-SARShip-1.0: the paper's 21 training and 10 test scenes, cut as the public crops are (512 px)."""

data = dict(kind="air-sarship-1.0", radiometry="percentile:0.5,99.5", tile_px=512, overlap_px=112)
