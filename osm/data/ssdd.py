"""SSDD, and any other data set in the VOC folder layout.

Layout: ``JPEGImages/<name>.jpg``, ``Annotations/<name>.xml``, and ``ImageSets/Main/<split>.txt`` where there are
lists. Official split (Zhang et al., Remote Sensing 13(18) 3690, 2021): names that end in 1 or 9 are test.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from osm.data.images import IMAGE_SUFFIXES
from osm.data.scene import Report, SceneFiles, check_test_ids, choose_split, natural_key
from osm.data.voc import parse_voc
from osm.errors import ConfigError, DataError

_LAYOUT = "JPEGImages/ and Annotations/ (also below voc_style/ or BBox_SSDD/voc_style/)"


def find_ssdd(root: Path, split: str | None, test_ids: Sequence[str] | None, report: Report) -> list[SceneFiles]:
    """Find the scenes of a VOC folder; see ``osm.data.scenes.read_scenes``."""
    base = base_folder(root)
    images = _by_stem(base / "JPEGImages", IMAGE_SUFFIXES, report)
    labels = _by_stem(base / "Annotations", (".xml",), report)
    if not images and not labels:
        raise DataError(
            base, found="no images and no labels", expected=_LAYOUT, mend="check the path, or unpack the data set again"
        )
    names = _select(base, sorted(images.keys() | labels.keys(), key=natural_key), split, test_ids)
    scenes = []
    for name in names:
        if name in images and name in labels:
            scenes.append(SceneFiles(name, images[name], labels[name], parse_voc))
        else:
            report(_missing(base, name, images.get(name), labels.get(name)))
    return scenes


def splits(root: Path) -> list[str]:
    """Names of the parts that can be asked for."""
    known = sorted(path.stem for path in (base_folder(root) / "ImageSets" / "Main").glob("*.txt"))
    return known or ["train", "test"]


def base_folder(root: Path) -> Path:
    """The folder that holds images and labels.

    Raises:
        DataError: There is none.
    """
    for base in (root, root / "voc_style", root / "BBox_SSDD" / "voc_style"):
        if (base / "JPEGImages").is_dir() and (base / "Annotations").is_dir():
            return base
    inside = sorted(entry.name for entry in root.iterdir())
    raise DataError(
        root,
        found=f"the entries {', '.join(inside[:5])}{', …' if len(inside) > 5 else ''}" if inside else "an empty folder",
        expected=_LAYOUT,
        mend="check the path, or unpack the data set again",
    )


def _by_stem(folder: Path, suffixes: tuple[str, ...], report: Report) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in suffixes:
            continue
        if path.stem in found:
            report(
                DataError(
                    path,
                    found=f"a second file for {path.stem}, beside {found[path.stem].name}",
                    expected="one file a name",
                    mend="remove one of the two",
                )
            )
            continue
        found[path.stem] = path
    return found


def _select(base: Path, names: list[str], split: str | None, test_ids: Sequence[str] | None) -> list[str]:
    if split is None:
        return names
    lists = base / "ImageSets" / "Main"
    listing = lists / f"{split}.txt"
    if test_ids is None and listing.is_file():
        chosen = list(dict.fromkeys(read_list(listing)))
    elif split in ("train", "test"):
        if test_ids is not None:
            check_test_ids(base, names, test_ids)
        official = [name for name in names if name[-1:] in ("1", "9")]
        chosen = choose_split(names, split, official if test_ids is None else test_ids)
    else:
        known = sorted({path.stem for path in lists.glob("*.txt")} | {"train", "test"})
        raise ConfigError(
            f"split {split!r} of {base}", found="no such list", expected=" or ".join(known), mend=f"or write {listing}"
        )
    if not chosen:
        known = sorted(path.stem for path in lists.glob("*.txt"))
        raise DataError(
            base,
            found=f"no scene in split {split!r}",
            expected=f"at least one; lists there: {', '.join(known) or 'none'}",
            mend=f"choose another split, give test ids, or write {listing}",
        )
    return chosen


def read_list(listing: Path) -> list[str]:
    """Names of scenes, the first word of each line.

    Raises:
        DataError: It cannot be read, or is no text.
    """
    expected = "a name of a scene in each line"
    try:
        lines = listing.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(listing, found=f"no text ({error})", expected=expected, mend="save it in UTF-8") from error
    return [line.split()[0] for line in lines if line.strip()]


def _missing(base: Path, name: str, image: Path | None, label: Path | None) -> DataError:
    mend = "add the missing file, or remove the name from the data set and its lists"
    if image is None and label is None:
        return DataError(base, found=f"no scene {name!r}", expected="every name of the list", mend=mend)
    if image is None:
        return DataError(base / "JPEGImages" / f"{name}.jpg", found="no image", expected=f"that of {label}", mend=mend)
    return DataError(base / "Annotations" / f"{name}.xml", found="no label", expected=f"that of {image}", mend=mend)
