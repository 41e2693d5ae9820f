"""DOTA's ships, trained on train and scored on val: what the osd arm learns from (optical)."""

data = dict(kind="dota", train_split="train", test_split="val", radiometry="none", tile_px=512, overlap_px=128)
