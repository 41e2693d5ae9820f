"""What a user gives to search: files, folders and lists become scenes with names; and where the result may go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from osm.errors import ConfigError, DataError

#: Files of a folder that are taken for scenes.
SCENE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2", ".img", ".ntf")
#: Format → suffix of its file.
FORMATS = {
    "geojson": ".geojson",
    "coco": ".coco.json",
    "csv": ".csv",
    "gpkg": ".gpkg",
    "png": ".png",
    "html": ".html",
}
#: Formats that show one scene.
PICTURES = ("png", "html")


@dataclass(frozen=True)
class SceneFile:
    """A scene to search.

    Attributes:
        scene_id: Name of its outputs, unique among those that are searched together.
        path: The file.
    """

    scene_id: str
    path: Path


def gather_scenes(given: Sequence[Path]) -> list[SceneFile]:
    """The scenes of files, folders (not of folders in them), Sentinel-1 ``.SAFE`` folders, and ``.txt`` lists.

    A line of a list is a path, from the list's own folder; empty lines and those that begin with ``#`` do not count.

    Raises:
        DataError: Nothing there, or two scenes that cannot be told apart by name.
    """
    paths: list[Path] = []
    for entry in given:
        if entry.is_dir():
            paths.extend(_of_folder(entry))
        elif entry.suffix.lower() == ".txt":
            paths.extend(_of_list(entry))
        else:
            paths.append(entry)
    paths = list(dict.fromkeys(paths))
    names = _names(paths)
    for name, count in Counter(names).items():
        if count > 1:
            same = ", ".join(str(path) for path, own in zip(paths, names, strict=True) if own == name)
            raise DataError(
                name, found=f"{count} scenes of that name ({same})", expected="names that differ", mend="rename one"
            )
    return [SceneFile(name, path) for name, path in zip(names, paths, strict=True)]


def _names(paths: Sequence[Path]) -> list[str]:
    """Names as short as they can be told apart: of the file, with its folder's, with its kind's."""
    names = [path.stem for path in paths]
    folders = [path.resolve().parent.name for path in paths]
    kinds = [path.suffix[1:] for path in paths]
    for longer in (
        [f"{folder}_{name}" for folder, name in zip(folders, names, strict=True)],
        [f"{folder}_{name}_{kind}" for folder, name, kind in zip(folders, names, kinds, strict=True)],
    ):
        twice = {name for name, count in Counter(names).items() if count > 1}
        names = [more if name in twice else name for more, name in zip(longer, names, strict=True)]
    return names


def format_of(out: Path) -> str | None:
    """The format that a file's name asks for; None if it names a folder."""
    name = out.name.lower()
    if out.is_dir():
        return None
    if name.endswith(".json") and not name.endswith(".geojson"):
        return "coco"
    return next((kind for kind, suffix in FORMATS.items() if name.endswith(suffix)), None)


def parse_formats(text: str) -> tuple[str, ...]:
    """Read ``geojson,csv``.

    Raises:
        ConfigError: A name is none of ``FORMATS``.
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if name not in FORMATS:
            raise ConfigError("--formats", found=name, expected=f"of {', '.join(FORMATS)}", mend="correct it")
    if not names:
        raise ConfigError("--formats", found="none", expected=f"some of {', '.join(FORMATS)}", mend="name one")
    return names


def check_output(out: Path, given: Sequence[Path], scenes: Sequence[SceneFile]) -> None:
    """Make sure that no output can overwrite a scene, or be taken for one by the next run.

    Raises:
        ConfigError: It could.
    """
    target = out.resolve()
    kind = format_of(out)
    folder = target if kind is None else target.parent
    inputs = {scene.path.resolve() for scene in scenes}
    beside = {path.parent for path in inputs} | {entry.resolve() for entry in given if entry.is_dir()}
    if target in inputs:
        raise ConfigError(out, found="a scene", expected="a new file", mend="choose another --out")
    if kind is None and folder in beside:
        raise ConfigError(
            out, found="the folder of the scenes", expected="a folder of its own", mend="choose another --out"
        )
    if kind == "png" and folder in {entry.resolve() for entry in given if entry.is_dir()}:
        raise ConfigError(
            out,
            found="a picture in a folder of scenes",
            expected="one elsewhere, since the next search would take it for a scene",
            mend="choose another --out",
        )
    if kind is None and target.exists() and not target.is_dir():
        raise ConfigError(
            out,
            found="a file",
            expected=f"a folder, or a file that ends in {', '.join(FORMATS.values())}",
            mend="choose another --out",
        )


def _of_folder(folder: Path) -> list[Path]:
    inner = folder / "measurement" if folder.suffix.upper() == ".SAFE" else folder
    found = sorted(
        path
        for path in (inner.iterdir() if inner.is_dir() else ())
        if path.suffix.lower() in SCENE_SUFFIXES
        # a link to nowhere is a broken scene, to be reported and not passed over
        and (path.is_file() or (path.is_symlink() and not path.exists()))
        and not path.name.startswith(".")
    )
    if not found:
        raise DataError(
            folder, found="no scene in it", expected=f"files of {', '.join(SCENE_SUFFIXES)}", mend="check the path"
        )
    return found


def _of_list(path: Path) -> list[Path]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, found=f"no readable list ({error})", expected="a path a line", mend="check it") from error
    named = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    if not named:
        raise DataError(path, found="no scene in it", expected="a path a line", mend="write some into it")
    return [path.parent / name for name in named]
