"""AIR-SARShip-2.0: images of 1000 px, cut as those of AIR-SARShip-1.0 are.

There is no official split. Images are numbered as they were cut from larger scenes, so the test part is a run of
numbers and no random choice: 211 to 300, 30 %.
"""

data = dict(
    kind="air-sarship-2.0",
    radiometry="percentile:0.5,99.5",
    tile_px=512,
    overlap_px=112,
    test_ids=[str(number) for number in range(211, 301)],
)
