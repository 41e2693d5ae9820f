"""``osm report``: the report of a comparison again, or of two side by side; nothing is run."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from osm.cli.options import Fuse, Groups, LandMaskFile, NearM

if TYPE_CHECKING:
    from osm.compare.study import Study


def report(
    folder: Annotated[Path, typer.Argument(metavar="A", help="Folder of a comparison, as `osm compare` left it.")],
    other: Annotated[
        Path | None, typer.Argument(metavar="B", help="A second one, to stand beside the first.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the report; A/report, or A/report_beside_B, if not given."),
    ] = None,
    groups: Groups = None,
    land_mask: LandMaskFile = None,
    near_m: NearM = 1000.0,
    fuse: Fuse = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            help="Figure of whole scenes to test beside ap50: ap50_voc07, ap50_coco or ap_coco; repeat it for more, "
            "and p-values are corrected for all of them.",
        ),
    ] = None,
) -> None:
    """Render the report of a comparison again from its cells, or put two comparisons side by side.

    Nothing is trained or detected; boxes are fused if --fuse asks for it.
    What takes long is kept in A/cache by the content of the predictions.
    """
    from osm.compare.report import write_report
    from osm.compare.report.answers import shortened
    from osm.compare.report.beside import write_beside
    from osm.compare.report.certainty import METRICS
    from osm.compare.run import load_study
    from osm.compare.statistics.study import METRICS as FIGURES
    from osm.errors import ConfigError
    from osm.files import read_json

    metrics = tuple(dict.fromkeys((*METRICS, *(metric or ()))))
    for one in metrics:
        if one not in FIGURES:
            raise ConfigError("--metric", found=one, expected=" or ".join(FIGURES), mend="correct the option")
    study = load_study(folder)
    if fuse:
        study = with_rows(study, fuse, folder)
    if groups is not None or land_mask is not None:
        study = with_groups(study, folder, groups, land_mask, near_m)
    if other is None:
        page = write_report(
            study, out or folder / "report", cache=folder / "cache", metrics=metrics, workers=os.cpu_count() or 1
        )
        for sentence in shortened(read_json(page.parent / "report.json")["answer"]):
            typer.echo(sentence)
        typer.echo(f"\nreport: {page}")
        return
    if folder.resolve() == other.resolve():
        raise ConfigError(other, found="the same folder twice", expected="two comparisons", mend="give another as B")
    names = names_of(folder, other)
    runs = (study, folder / "cache"), (load_study(other), other / "cache")
    target = out or folder / f"report_beside_{other.resolve().name}"
    page = write_beside(runs, names, target, metrics, os.cpu_count() or 1)
    typer.echo(f"report: {page}")


def with_rows(study: Study, pairs: list[str], folder: Path) -> Study:
    """The study with further fusions, whose predictions are kept in the folder.

    Raises:
        ConfigError: A pair is none, or of arms that are not there.
        EnvironmentProblem: The package for it is not installed.
        InUseError: A comparison is at work in the folder.
    """
    from osm.compare.fusion import caveats, fuse_cells, gather_fusions, with_fusions
    from osm.files import exclusive

    arms = [arm.name for arm in study.arms if not arm.members]
    known = {frozenset(arm.members) for arm in study.arms}
    asked = gather_fusions(folder, arms, asked=pairs)
    fusions = [fusion for fusion in asked if frozenset(fusion.members) not in known]
    with exclusive(folder):
        fuse_cells(study, fusions, folder)
    said = (*study.caveats, *caveats(fusions, study.arms))
    return replace(with_fusions(study, fusions, folder), caveats=said)


def with_groups(study: Study, folder: Path, listed: Path | None, land_mask: Path | None, near_m: float) -> Study:
    """The study with the groups of a list or a land mask in place of its own; its folder remembers them.

    Raises:
        OSMError: As from ``osm.compare.groups.make_grouping``.
    """
    from osm.compare.groups import make_grouping, places_of, remember
    from osm.detection.finetune import PREDICTIONS
    from osm.detection.predictions import read_predictions

    places: dict[str, tuple[Path, Any]] = {}
    # all arms of a detector were scored on the same scenes
    for cell in {cell.detector: cell for cell in study.cells}.values():
        if (path := cell.folder / PREDICTIONS).is_file():
            places |= places_of(read_predictions(path).scenes)
    grouping = make_grouping(places, listed=listed, land_mask=land_mask, near_m=near_m)
    if grouping is None:
        return study
    remember(folder, grouping)
    return replace(study, groups=grouping.groups, groups_note=grouping.note)


def names_of(folder: Path, other: Path) -> tuple[str, str]:
    """The shortest ends of two paths that tell them apart."""
    first, second = folder.resolve().parts, other.resolve().parts
    longest = max(len(first), len(second))
    for count in range(1, longest + 1):
        names = "/".join(first[-count:]), "/".join(second[-count:])
        if names[0] != names[1]:
            return names
    raise ValueError(f"{folder} and {other} are one folder")
