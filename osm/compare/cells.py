"""Finished cells on disk: known again by their fingerprint, never mistaken for others, and read back whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from osm.compare import fairness
from osm.compare.fairness import MOST_SHOWN, Ran, differences
from osm.compare.plan import Cell
from osm.compare.study import CellResult, Study
from osm.compat.versions import git_revision
from osm.detection.arms import Init
from osm.detection.conditions import asked, device, precision, read_conditions, software
from osm.errors import ConfigError, DataError
from osm.files import SEAL, check_seal, digests, read_json

CELL = "cell.json"


def fingerprint_of(cell: Cell, data_digest: str) -> str:
    """SHA-256 of everything that decides a cell's result.

    Args:
        cell: The cell.
        data_digest: Of the data, as ``osm.compare.run.describe_data`` gives it.
    """
    decides = f"{cell.fingerprint} {data_digest}"
    if cell.held_out or cell.tuning:
        decides += json.dumps([cell.held_out, cell.tuning], sort_keys=True)
    return hashlib.sha256(decides.encode()).hexdigest()


def finished_cells(cells: Sequence[Cell], data_digest: str, work_dir: Path) -> list[bool]:
    """Which cells are finished.

    Args:
        cells: The cells.
        data_digest: Of the data.
        work_dir: Folder of the comparison.

    Raises:
        ConfigError: A cell of other settings, weights or data is there; its details are what differs.
    """
    return [is_finished(cell, fingerprint_of(cell, data_digest), work_dir / cell.folder) for cell in cells]


def is_finished(cell: Cell, fingerprint: str, folder: Path) -> bool:
    """Whether a folder holds this cell, finished.

    Raises:
        ConfigError: It holds another.
        DataError: Its record is damaged.
    """
    path = folder / CELL
    if not path.is_file():
        return False
    found = _record(path).get("fingerprint")
    if found != fingerprint:
        lines = _how_it_differs(cell, folder)
        named = f" ({', '.join(line.strip().partition(':')[0] for line in lines[1:4])})" if lines[1:] else ""
        raise ConfigError(
            path,
            found=f"a finished cell of other settings, weights or data{named}",
            expected="the present ones",
            mend="use another --work-dir, or delete that cell's folder to run it again",
            details="\n".join(lines),
        )
    return True


def _record(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path)
        damage = "" if isinstance(found, dict) else "no JSON object"
    except DataError as error:
        damage = error.found
    if damage:
        raise DataError(
            path,
            found=damage,
            expected="the record of a finished cell",
            mend=f"delete {path.parent} and run the same command again: only this cell is made anew",
        )
    return dict(found)


def _how_it_differs(cell: Cell, folder: Path) -> list[str]:
    found = read_conditions(folder)
    if found is None:
        return []
    now = asked_of(cell)
    now["start"]["init"] = found["start"]["init"]  # a file may move
    entries = [entry for key in now for entry in differences({key: found.get(key)}, {key: now[key]})]
    if not entries:
        return ["found there | asked for", "  data: other scenes, labels or sizes of images"]
    return ["found there | asked for", *(f"  {entry.line}" for entry in entries[:MOST_SHOWN])]


def asked_of(cell: Cell, *, weights: bool = True) -> dict[str, Any]:
    """What a cell is told to do, as it will write it down itself.

    Args:
        cell: The cell.
        weights: Whether to name and to hash the file of weights.
    """
    return asked(
        cell.recipe,
        cell.init if weights else Init(cell.init.kind),
        seed=cell.seed,
        min_coverage=cell.min_coverage,
        allow_contract_mismatch=cell.allow_contract_mismatch,
        tuning=cell.tuning,
    )


def check_cells(cells: Sequence[Cell], digest: str, work_dir: Path, executor: str) -> list[bool]:
    """Which cells are finished; before any other runs, that all of them may be compared with each other.

    Args:
        cells: The cells.
        digest: Of the data.
        work_dir: Folder of the comparison.
        executor: Where they will run, as ``osm.compare.dispatch`` calls it.

    Raises:
        ConfigError: A finished cell is of other settings, weights or data.
        FairnessError: Two cells differ, or would differ, in more than the initialisation.
    """
    fairness.check(planned(cells), work_dir)
    done = finished_cells(cells, digest, work_dir)
    if not all(done):
        # jobs of a cluster run on another machine than this one
        elsewhere = executor == "slurm"
        for recipe in {cell.recipe.detector: cell.recipe for cell in cells}.values():
            name = recipe.detector
            old = [cell for cell, over in zip(cells, done, strict=True) if over and cell.recipe.detector == name]
            here = {} if elsewhere else {"device": device(), "precision": precision(recipe)}
            fairness.check_software(
                ran(old, work_dir), {"software": software(recipe), **here}, work_dir, git_revision()
            )
    return done


def planned(cells: Sequence[Cell]) -> list[Ran]:
    """Cells before they run, for the lock: it knows then what each is told to do."""
    return [
        Ran(group_of(cell), cell.arm, cell.seed, cell.name, asked_of(cell, weights=False))
        for cell in cells
    ]  # fmt: skip


def ran(cells: Sequence[Cell], work_dir: Path) -> list[Ran]:
    """Finished cells of a plan, for the lock; those whose training diverged are left aside."""
    found = []
    for cell in cells:
        folder = work_dir / cell.folder
        if (folder / CELL).is_file() and not read_json(folder / CELL).get("diverged"):
            found.append(Ran(group_of(cell), cell.arm, cell.seed, cell.name, read_conditions(folder)))
    return found


def ran_with(study: Study) -> list[Ran]:
    """Cells of a study, for the lock; what was made of other cells ran with nothing of its own."""
    trained = {arm.name for arm in study.arms if arm.kind != "fusion"}
    return [
        Ran(cell.detector, cell.arm, cell.seed, f"{cell.detector}/{cell.arm}/seed{cell.seed}", conditions)
        for cell in study.cells
        if cell.arm in trained
        for conditions in [read_conditions(cell.folder)]
    ]


def group_of(cell: Cell) -> str:
    """Name of the detector; of a cell that tries a learning rate, with that."""
    return f"{cell.recipe.detector} at lr {cell.lr!r}" if cell.held_out else cell.recipe.detector


def read_cell(folder: Path) -> CellResult:
    """Read a finished cell.

    Raises:
        DataError: A file of it is missing, or is not what the cell left.
    """
    values = read_json(folder / CELL)
    if SEAL in values:  # cells of earlier versions have no hashes
        check_seal(folder / CELL, values)
        found = digests(folder, values["files"])
        for name, digest in values["files"].items():
            if found.get(name) != digest:
                raise DataError(
                    folder / name,
                    found="a file that was changed or damaged" if name in found else "no such file",
                    expected=f"SHA-256 {digest[:12]}…, as {CELL} says",
                    mend="copy it again, or delete the cell's folder to run it again",
                )
    return CellResult(
        detector=values["detector"],
        arm=values["arm"],
        seed=values["seed"],
        tile=values["tile"],
        scene=values["scene"],
        seconds=values["seconds"],
        coverage=values["coverage"],
        folder=folder,
    )
