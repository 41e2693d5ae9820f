"""Fusions: rows of a comparison that nothing was trained for, each made of the predictions of two arms.

A fused cell lies where a trained one would, and holds ``predictions.json`` and, last, ``fused.json``. It knows the
SHA-256 of what it was made of: where a member's predictions are others by now, it counts for nothing and is made anew.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from osm.compare.fractions import cell_folder
from osm.compare.study import ArmInfo, CellResult, Study
from osm.detection.finetune import PREDICTIONS, figures_of
from osm.detection.fusion import EXTRA, PACKAGE, FusionSettings, fuse_predictions
from osm.detection.predictions import read_predictions
from osm.errors import ConfigError, DataError
from osm.files import check_seal, read_json, sha256_file, write_sealed
from osm.transfer.adapters.base import require

KIND = "fusion"
FUSED = "fused.json"
FORMAT = 1
_METHOD = "weighted boxes fusion"


@dataclass(frozen=True)
class Fusion:
    """Two arms whose boxes are fused.

    Attributes:
        members: Their names.
        settings: How.
    """

    members: tuple[str, str]
    settings: FusionSettings = field(default_factory=FusionSettings)

    @property
    def name(self) -> str:
        """As in folders: no arm has a plus in its name."""
        return "+".join(self.members)

    def info(self, arms: Sequence[ArmInfo]) -> ArmInfo:
        """The fusion among the arms of a report, called what it is."""
        labels = {arm.name: arm.label for arm in arms}
        both = " and ".join(labels[name] for name in self.members)
        note = (
            f"no initialisation and no training of its own: the boxes of the two detectors that started from {both}, "
            f"of the same seed, by {_METHOD} (IoU {self.settings.iou:g}). It searches every tile twice, and two "
            "detectors may find more together whatever they started from. What one of them found alone has half its "
            "score: counts at a fixed score (false alarms, ships found) are not to be read beside those of the arms"
        )
        return ArmInfo(self.name, f"fusion of {both}", KIND, f"no weights: predictions of {both}", note, self.members)


def parse_fusion(text: str) -> tuple[str, str]:
    """Read ``ARM+ARM``.

    Raises:
        ConfigError: It is not that.
    """
    names = tuple(name.strip() for name in text.split("+"))
    if len(names) != 2 or not all(names):
        raise ConfigError(
            "--fuse", found=repr(text), expected="two arms, e.g. osd+osm", mend="write their names with a plus between"
        )
    return names[0], names[1]


def gather_fusions(
    where: str | Path, arms: Sequence[str], listed: Any = (), asked: Sequence[str] = (), settings: Any = None
) -> tuple[Fusion, ...]:
    """Fusions of a config and of the command line, each once, checked before anything runs.

    Args:
        where: The config, for errors.
        arms: Names of the arms that there are.
        listed: ``fuse`` of the config: pairs of names.
        asked: ``--fuse`` of the command line.
        settings: ``fusion`` of the config: ``iou`` and ``min_score``.

    Raises:
        ConfigError: An arm is not there, a pair is none, or a setting is wrong.
        EnvironmentProblem: There are fusions, and ``ensemble-boxes`` is not installed.
    """
    if not isinstance(listed, list | tuple) or not all(_is_pair(entry) for entry in listed):
        raise ConfigError(
            where, found=f"fuse = {listed!r}", expected='pairs of arms, e.g. [("osd", "osm")]', mend="correct the line"
        )
    chosen = read_settings(where, {} if settings is None else settings)
    of_config = [(str(where), (one, other)) for one, other in listed]
    found: dict[frozenset[str], tuple[str, str]] = {}
    for place, pair in [*of_config, *(("--fuse", parse_fusion(text)) for text in asked)]:
        for name in pair:
            if name not in arms:
                raise ConfigError(
                    place,
                    found=f"a fusion of {pair[0]} and {pair[1]}, and no arm {name}",
                    expected=f"two of {', '.join(arms)}",
                    mend=f"give --arm {name}=FILE, or leave the fusion out",
                )
        if pair[0] == pair[1]:
            raise ConfigError(
                place, found=f"a fusion of {pair[0]} with itself", expected="two arms", mend="leave it out"
            )
        # the order of two arms changes the name of the row and nothing else
        found.setdefault(frozenset(pair), pair)
    if found:
        require(PACKAGE, EXTRA)
    return tuple(Fusion(pair, chosen) for pair in found.values())


def read_settings(where: str | Path, values: Any) -> FusionSettings:
    """Settings of a config, checked.

    Raises:
        ConfigError: A word is unknown, or a value is no number in range.
    """
    if not isinstance(values, dict) or (strange := set(values) - {"iou", "min_score"}):
        found = f"an unknown word {min(strange)!r} in fusion" if isinstance(values, dict) else f"fusion = {values!r}"
        raise ConfigError(where, found=found, expected="fusion = dict(iou=…, min_score=…)", mend="correct the line")
    for name, value in values.items():
        number = type(value) in (int, float)
        if not number or not (0 < value < 1 if name == "iou" else 0 <= value < 1):
            raise ConfigError(
                where, found=f"fusion.{name} = {value!r}", expected="a number between 0 and 1", mend="correct it"
            )
    return FusionSettings(**{name: float(value) for name, value in values.items()})


def fuse_cells(study: Study, fusions: Sequence[Fusion], work_dir: Path) -> None:
    """Fuse the predictions of every detector and seed that both arms have; what is made already stays.

    Args:
        study: The comparison.
        fusions: What to fuse.
        work_dir: Folder of the comparison, which nobody else is writing to.

    Raises:
        DataError: The arms were scored on different scenes, or a member left no predictions.
        EnvironmentProblem: ``ensemble-boxes`` is not installed.
    """
    from osm.detection.evaluate import average_precision

    for fusion, members, folder in _cells(study, fusions, work_dir):
        sources = _sources(fusion, members)
        if _read(fusion, members[0], folder, sources) is not None:
            continue
        started = time.monotonic()
        first = members[0]
        where = f"{fusion.name}, {first.detector}, seed {first.seed}"
        fused = fuse_predictions(
            [read_predictions(cell.folder / PREDICTIONS) for cell in members], fusion.settings, where
        )
        (folder / FUSED).unlink(missing_ok=True)
        fused.write(folder / PREDICTIONS)
        content = {
            "format": FORMAT,
            "detector": first.detector,
            "arm": fusion.name,
            "seed": first.seed,
            "fusion": _settings_json(fusion),
            "package": f"ensemble-boxes {metadata.version('ensemble-boxes')}",
            "members": sources,
            "tile": figures_of(average_precision(fused.tile_results())),
            "scene": figures_of(average_precision(fused.scene_results())),
            "seconds": round(time.monotonic() - started, 2),
            PREDICTIONS: sha256_file(folder / PREDICTIONS),
        }
        write_sealed(folder / FUSED, content)


def with_fusions(study: Study, fusions: Sequence[Fusion], work_dir: Path) -> Study:
    """The study with its fusions as further arms, and those of their cells that are made; nothing is computed.

    Raises:
        DataError: A fused cell is damaged.
    """
    new = [fusion for fusion in fusions if fusion.name not in {arm.name for arm in study.arms}]
    found = []
    for fusion, members, folder in _cells(study, new, work_dir):
        cell = _read(fusion, members[0], folder, _sources(fusion, members), strict=True)
        found += [cell] if cell is not None else []
    infos = [fusion.info(study.arms) for fusion in new]
    return replace(study, arms=(*study.arms, *infos), cells=(*study.cells, *found))


def caveats(fusions: Sequence[Fusion], arms: Sequence[ArmInfo]) -> list[str]:
    """What must stand beside the figures of fusions."""
    infos = [fusion.info(arms) for fusion in fusions]
    return [f"{info.label[0].upper()}{info.label[1:]}: {info.note}." for info in infos]


def to_json(fusions: Sequence[Fusion]) -> list[dict[str, Any]]:
    """Fusions as JSON values."""
    return [{"members": list(fusion.members), "settings": asdict(fusion.settings)} for fusion in fusions]


def from_json(values: Sequence[dict[str, Any]]) -> tuple[Fusion, ...]:
    """What ``to_json`` gave."""
    return tuple(
        Fusion((entry["members"][0], entry["members"][1]), FusionSettings(**entry["settings"])) for entry in values
    )


def _is_pair(entry: Any) -> bool:
    return isinstance(entry, list | tuple) and len(entry) == 2 and all(isinstance(name, str) for name in entry)


def _cells(
    study: Study, fusions: Sequence[Fusion], work_dir: Path
) -> Iterator[tuple[Fusion, tuple[CellResult, ...], Path]]:
    """A fusion, its members' cells and its folder, for every detector and seed that both members have."""
    cells = {(cell.detector, cell.arm, cell.seed): cell for cell in study.cells}
    for fusion in fusions:
        for detector in study.detectors:
            for seed in study.seeds:
                members = [cells.get((detector, name, seed)) for name in fusion.members]
                whole = tuple(cell for cell in members if cell is not None)
                if len(whole) == len(members):
                    yield fusion, whole, work_dir / cell_folder(detector, fusion.name, seed)


def _sources(fusion: Fusion, members: Sequence[CellResult]) -> dict[str, str]:
    """SHA-256 of what each member found."""
    found = {}
    for name, cell in zip(fusion.members, members, strict=True):
        path = cell.folder / PREDICTIONS
        if not path.is_file():
            raise DataError(
                path,
                found="no such file",
                expected="predictions to fuse",
                mend="run that cell again, or leave the fusion out",
            )
        found[name] = sha256_file(path)
    return found


def _settings_json(fusion: Fusion) -> dict[str, Any]:
    return {"method": _METHOD, "members": list(fusion.members), **asdict(fusion.settings)}


def _read(
    fusion: Fusion, member: CellResult, folder: Path, sources: dict[str, str], *, strict: bool = False
) -> CellResult | None:
    """A fused cell, or None where there is none of these members and settings.

    Raises:
        DataError: It is damaged, and ``strict``.
    """
    path = folder / FUSED
    if not path.is_file():
        return None
    try:
        values = read_json(path)
        check_seal(path, values)
        if values["members"] != sources or values["fusion"] != _settings_json(fusion):
            return None
        predictions = folder / PREDICTIONS
        if not predictions.is_file() or sha256_file(predictions) != values[PREDICTIONS]:
            raise DataError(
                predictions,
                found="a file that was changed, damaged or lost",
                expected=f"SHA-256 {values[PREDICTIONS][:12]}…, as {FUSED} says",
                mend="run the same `osm compare` again, which fuses again and trains nothing",
            )
    except DataError:
        if strict:
            raise
        return None
    return CellResult(
        detector=member.detector,
        arm=fusion.name,
        seed=member.seed,
        tile=values["tile"],
        scene=values["scene"],
        seconds=values["seconds"],
        coverage=None,
        folder=folder,
    )
