"""``osm compare``, for people who come from mmdetection."""

import sys

from osm.cli.main import main

if __name__ == "__main__":
    main(["compare", *sys.argv[1:]])
