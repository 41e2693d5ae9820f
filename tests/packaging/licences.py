"""The licences of everything that is installed with OSM-SSD, as a page: ``python -m tests.packaging.licences``."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

#: Extras that a user may ask for, and in the end those of developers.
EXTRAS = ("timm", "hub", "inspect", "index", "geo", "fusion", "onnx", "onnx-export", "ultralytics", "docs", "dev")
#: Of packages whose metadata do not say it in a word; read in the licence file that they bring, or on their page.
READ = {
    "cuda-toolkit": "NVIDIA Proprietary Software",
    "faster-coco-eval": "Apache-2.0",
    "onedl-mmengine": "Apache-2.0",
}
STRONG = re.compile(r"\b(A?GPL|GNU (Affero )?General|SSPL|EUPL)", re.IGNORECASE)
PAGE = Path(__file__).resolve().parents[2] / "docs/licences.md"
HEAD = """# Licences

OSM-SSD is under Apache-2.0. This page lists what is installed with it, with the versions of `constraints.txt`, as
each package's metadata say. It is written by `python -m tests.packaging.licences > docs/licences.md`, and a test
holds it against what is installed.

**AGPL-3.0 comes with the extra `ultralytics` alone.** Nothing else here needs it, no module imports it unless a
config or an option asks for it, and a test imports every module with it absent. Whoever passes on, or serves over a
network, something that is built on it is bound by its terms ([YOLOv3u](yolov3u.md)). MPL-2.0, as of `certifi`, binds
changes to those files and nothing that uses them.

**NVIDIA's libraries** are proprietary and come with PyTorch's wheels for Linux; their terms allow use and
redistribution with an application. A PyTorch built for CPUs brings none of them.

**Wheels carry libraries of their own**, whose terms stand in the licence files inside each package and not in this
table: OpenCV's carry FFmpeg and NumPy's and SciPy's GCC's runtime, under LGPL-2.1 or GPL with its runtime exception;
shapely's carry GEOS, under LGPL-2.1.

**Data and weights have terms of their own**: those of QXS-SAROPT, AIR-SARShip, SSDD, HRSID, DOTA and of published
ImageNet weights are their authors'.
"""


@dataclass(frozen=True)
class Entry:
    """An installed distribution."""

    name: str
    version: str
    licence: str


def installed() -> dict[str, Entry]:
    """Every distribution here, by canonical name."""
    command = [sys.executable, "-m", "piplicenses", "--from=mixed", "--with-system", "--format=json"]
    rows = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    entries = {}
    for row in rows:
        key = canonicalize_name(row["Name"])
        said = " ".join(row["License"].split())
        entries[key] = Entry(row["Name"], row["Version"], READ.get(key, said.removeprefix("LicenseRef-")))
    return entries


def closure(requirements: list[str]) -> set[str]:
    """Canonical names of all that a list of requirements brings, as far as it is installed."""
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        wanted = waiting.pop()
        step = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if step in seen:
            continue
        seen.add(step)
        try:
            distribution = metadata.distribution(wanted.name)
        except metadata.PackageNotFoundError:
            continue
        found.add(step[0])
        for line in distribution.requires or []:
            further = Requirement(line)
            if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in ("", *step[1])):
                waiting.append(further)
    return found


def present(name: str) -> bool:
    """Whether a distribution is installed."""
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def declared(extra: str = "") -> list[str]:
    """What pyproject.toml asks for: the core's dependencies, or those of an extra."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    project = tomllib.loads((PAGE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if not extra:
        return list(project["dependencies"])
    lines: list[str] = []
    for line in project["optional-dependencies"][extra]:
        wanted = Requirement(line)
        if wanted.name == "osm-ssd":
            lines += [inner for name in wanted.extras for inner in declared(name)]
        else:
            lines.append(line)
    return lines


def groups() -> dict[str, set[str]]:
    """Canonical names by the core, and by each extra what it brings beyond the core and the extras before it."""
    found = {"": closure(declared())}
    before = set(found[""])
    for extra in EXTRAS:
        found[extra] = closure(declared(extra)) - before
        before |= found[extra]
    return found


def page() -> str:
    """The whole page."""
    entries, parts = installed(), [HEAD]
    for extra, names in groups().items():
        title = f"Extra `{extra}`: what it brings further" if extra else "Core"
        rows = sorted((entries[name] for name in names if name in entries), key=lambda entry: entry.name.lower())
        parts.append(f"## {title}\n")
        absent = sorted(Requirement(line).name for line in declared(extra) if not present(Requirement(line).name))
        if absent:
            parts.append(f"Not installed where this page was written: {', '.join(absent)}.\n")
        if not rows:
            parts.append("Nothing that does not stand above.\n")
            continue
        lines = ["| package | version | licence |", "| --- | --- | --- |"]
        lines += [f"| {row.name} | {row.version} | {row.licence} |" for row in rows]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
