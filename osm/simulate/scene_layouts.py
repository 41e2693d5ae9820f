"""How simulated scenes lie on disk: one writer a data set, in the layout in which it is distributed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from osm.data.radiometry import Radiometry
from osm.errors import ConfigError
from osm.files import write_json, write_text
from osm.simulate.coast import Coast

RADIOMETRY = "percentile:0.5,99.5"
"""How amplitude becomes the 8 bits of SSDD's and HRSID's JPEG."""


class AirSarShip1:
    """AIR-SARShip-1.0: 16-bit TIFF and VOC XML, each in its folder.

    Args:
        folder: Root of the data set, empty.
    """

    pattern: ClassVar[str] = "AIR-SARShip-1.0-*/*"
    files_each: ClassVar[int] = 2
    side_px: ClassVar[int] = 3000
    optical: ClassVar[bool] = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, number: int, image: NDArray[Any], coast: Coast) -> None:
        """Write one scene.

        Args:
            number: From 1.
            image: ``(H, W)`` amplitude, or ``(H, W, 3)`` uint8 in an optical layout.
            coast: With its ships.
        """
        name = f"SARShip-1.0-{number}"
        _write_tiff(self.folder / "AIR-SARShip-1.0-data" / f"{name}.tiff", image)
        write_text(self.folder / "AIR-SARShip-1.0-xml" / f"{name}-label.xml", label_xml(f"{name}.tiff", coast))

    def finish(self) -> None:
        """Write what concerns all scenes."""


class AirSarShip2(AirSarShip1):
    """AIR-SARShip-2.0: 16-bit TIFF and its own XML of corners; lists train.txt and test.txt of ours beside them."""

    pattern = "AIR-SARShip-2.0-*/*"
    side_px = 1000

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.parts: dict[str, list[str]] = {"train": [], "test": []}

    def add(self, number: int, image: NDArray[Any], coast: Coast) -> None:
        """Write one scene; every third is a test scene."""
        _write_tiff(self.folder / "AIR-SARShip-2.0-data" / f"{number}.tiff", image)
        write_text(self.folder / "AIR-SARShip-2.0-xml" / f"{number}.xml", corners_xml(f"{number}.tiff", coast))
        self.parts["test" if number % 3 == 0 else "train"].append(str(number))

    def finish(self) -> None:
        """Write the lists."""
        _write_lists(self.folder, self.parts)


class Ssdd(AirSarShip1):
    """SSDD: 8-bit JPEG of three equal bands and VOC XML, the lists of its official split, inshore and offshore."""

    pattern = "[JA]*/*"
    side_px = 500

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.lists: dict[str, list[str]] = {}

    def add(self, number: int, image: NDArray[Any], coast: Coast) -> None:
        """Write one scene; names that end in 1 or 9 are test scenes."""
        name = f"{number:06d}"
        _write_jpeg(self.folder / "JPEGImages" / f"{name}.jpg", image)
        write_text(self.folder / "Annotations" / f"{name}.xml", label_xml(f"{name}.jpg", coast))
        part = "test" if name[-1] in "19" else "train"
        self.lists.setdefault(part, []).append(name)
        if part == "test":
            self.lists.setdefault(f"test_{group_of(coast)}", []).append(name)

    def finish(self) -> None:
        """Write the lists."""
        _write_lists(self.folder / "ImageSets" / "Main", self.lists)


class Hrsid(AirSarShip1):
    """HRSID: 8-bit JPEG and COCO's JSON: train2017, test2017, inshore and offshore."""

    pattern = "HRSID_JPG/JPEGImages/*"
    files_each = 1
    side_px = 800

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "HRSID_JPG")
        self.lists: dict[str, list[tuple[int, Coast]]] = {}

    def add(self, number: int, image: NDArray[Any], coast: Coast) -> None:
        """Write one image; every third is a test image."""
        _write_jpeg(self.folder / "JPEGImages" / _hrsid_name(number), image)
        for name in ("test2017" if number % 3 == 0 else "train2017", group_of(coast)):
            self.lists.setdefault(name, []).append((number, coast))

    def finish(self) -> None:
        """Write the lists."""
        for name, entries in self.lists.items():
            write_json(self.folder / "annotations" / f"{name}.json", coco_json(entries))


class Dota(AirSarShip1):
    """DOTA: colour PNG and slanted boxes in labelTxt, in train and val."""

    pattern = "*/*/*"
    side_px = 1024
    optical = True

    def add(self, number: int, image: NDArray[Any], coast: Coast) -> None:
        """Write one image; every fourth is in val."""
        from PIL import Image

        part, name = self.folder / ("val" if number % 4 == 0 else "train"), f"P{number:04d}"
        path = part / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, compress_type=2)
        write_text(part / "labelTxt" / f"{name}.txt", label_txt(coast))


LAYOUTS: dict[str, type[AirSarShip1]] = {
    "air-sarship-1.0": AirSarShip1,
    "air-sarship-2.0": AirSarShip2,
    "ssdd": Ssdd,
    "hrsid": Hrsid,
    "dota": Dota,
}


def usual_side_px(layout: str) -> int:
    """Side of the images that the real data set has, or something like it.

    Raises:
        ConfigError: No such layout.
    """
    if layout not in LAYOUTS:
        raise ConfigError("--layout", found=repr(layout), expected=" or ".join(LAYOUTS), mend="correct the spelling")
    return LAYOUTS[layout].side_px


def group_of(coast: Coast) -> str:
    """``inshore`` where a ship is moored, else ``offshore``."""
    return "inshore" if any(ship.moored for ship in coast.ships) else "offshore"


def label_xml(image_name: str, coast: Coast) -> str:
    """The VOC label of a scene: whole-pixel boxes around the hulls, clipped to the scene."""
    height, width = coast.shape
    lines = [
        "<annotation>",
        f"  <filename>{image_name}</filename>",
        "  <source><database>simulated by OSM-SSD</database></source>",
        f"  <size><width>{width}</width><height>{height}</height><depth>1</depth></size>",
        f"  <pixel_m>{coast.pixel_m:g}</pixel_m>",
    ]
    for ship in coast.ships:
        x1, y1, x2, y2 = ship.box(coast.shape)
        lines += [
            "  <object>",
            "    <name>ship</name>",
            f"    <bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>",
            "  </object>",
        ]
    return "\n".join([*lines, "</annotation>", ""])


def corners_xml(image_name: str, coast: Coast) -> str:
    """The label of AIR-SARShip-2.0: the same boxes as five corners, the first one twice."""
    lines = ["<annotation>", f"  <source><filename>{image_name}</filename></source>", "  <objects>"]
    for ship in coast.ships:
        x1, y1, x2, y2 = ship.box(coast.shape)
        corners = ((x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1))
        points = "".join(f"<point>{x:.6f}, {y:.6f}</point>" for x, y in corners)
        lines += [
            "    <object>",
            "      <possibleresult><name>ship</name></possibleresult>",
            f"      <points>{points}</points>",
            "    </object>",
        ]
    return "\n".join([*lines, "  </objects>", "</annotation>", ""])


def coco_json(entries: list[tuple[int, Coast]]) -> dict[str, Any]:
    """COCO's JSON of some images."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, coast in entries:
        height, width = coast.shape
        images.append({"id": number, "file_name": _hrsid_name(number), "width": width, "height": height})
        for ship in coast.ships:
            x1, y1, x2, y2 = ship.box(coast.shape)
            box, area = [x1, y1, x2 - x1, y2 - y1], (x2 - x1) * (y2 - y1)
            entry = {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "bbox": box}
            annotations.append(entry | {"area": area, "iscrowd": 0, "segmentation": []})
    categories = [{"id": 1, "name": "ship", "supercategory": "ship"}]
    info = {"description": "simulated by OSM-SSD"}
    return {"info": info, "images": images, "annotations": annotations, "categories": categories}


def label_txt(coast: Coast) -> str:
    """The label of DOTA: the corners of each hull, which may lie outside the image."""
    lines = ["imagesource:simulated by OSM-SSD", f"gsd:{coast.pixel_m:g}"]
    for ship in coast.ships:
        corners = " ".join(f"{value:.1f}" for value in np.asarray(ship.corners()).ravel())
        lines.append(f"{corners} ship 0")
    return "\n".join([*lines, ""])


def _hrsid_name(number: int) -> str:
    return f"P{number:04d}.jpg"


def _write_lists(folder: Path, lists: dict[str, list[str]]) -> None:
    for name, entries in lists.items():
        if entries:
            write_text(folder / f"{name}.txt", "\n".join([*entries, ""]))


def _write_jpeg(path: Path, amplitude: NDArray[Any]) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    grey = Radiometry.parse(RADIOMETRY).apply(amplitude)
    Image.fromarray(grey).convert("RGB").save(path, quality=95)


def _write_tiff(path: Path, image: NDArray[Any]) -> None:
    import tifffile

    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, image, photometric="minisblack", metadata=None)
