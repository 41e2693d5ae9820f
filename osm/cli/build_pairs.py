"""``osm data build-pairs``: from scene pairs to a data set of patch pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from osm.cli.progress import progress_bar

if TYPE_CHECKING:
    from osm.data.build_pairs import BuildReport
    from osm.data.build_record import SceneRecord

_CUT, _REGISTER, _SCREEN = "Cutting", "Registering", "Screening"
_LEAST_COVERED = 0.25
"""Part of a scene between its tie points below which a line says so."""


def build_pairs(
    sar: Annotated[str, typer.Option(help="SAR scenes: a glob in quotes, a folder or a file.")],
    optical: Annotated[str, typer.Option(help="Optical scenes; partners agree in what * stands for.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    size: Annotated[int, typer.Option(help="Side of a patch in pixels.", rich_help_panel=_CUT)] = 256,
    overlap: Annotated[
        float, typer.Option(help="Part of a patch shared with the next, e.g. 0.2.", rich_help_panel=_CUT)
    ] = 0.0,
    sar_radiometry: Annotated[
        str,
        typer.Option(
            help="How SAR becomes 8 bits: auto, none, max, minmax, percentile:L,H, log:L,H or linear:L,H.",
            rich_help_panel=_CUT,
        ),
    ] = "auto",
    optical_radiometry: Annotated[str, typer.Option(help="The same for optical.", rich_help_panel=_CUT)] = "auto",
    sar_nodata: Annotated[float | None, typer.Option(help="Value of missing SAR pixels.", rich_help_panel=_CUT)] = None,
    optical_nodata: Annotated[
        float | None, typer.Option(help="Value of missing optical pixels.", rich_help_panel=_CUT)
    ] = None,
    sar_band: Annotated[int | None, typer.Option(help="Band of the SAR scenes, from 1.", rich_help_panel=_CUT)] = None,
    optical_bands: Annotated[
        str | None, typer.Option(help="Bands for red,green,blue, e.g. 3,2,1.", rich_help_panel=_CUT)
    ] = None,
    align: Annotated[
        str,
        typer.Option(
            help="Scenes without tie points: grid (one pixel grid), georeference, estimate (find tie points), or auto "
            "(grid if the headers allow it, else georeference).",
            rich_help_panel=_REGISTER,
        ),
    ] = "auto",
    tie_points: Annotated[
        str | None,
        typer.Option(
            metavar="FILES.csv",
            help="Matched points (sar_col,sar_row,opt_col,opt_row[,region]): a glob, a folder or a file; named as the "
            "scene pair they are for.",
            rich_help_panel=_REGISTER,
        ),
    ] = None,
    transform: Annotated[
        str, typer.Option(help="Fitted to tie points: affine, projective or piecewise.", rich_help_panel=_REGISTER)
    ] = "affine",
    tolerance_px: Annotated[
        float,
        typer.Option(help="Tie points that are further off are refused, in SAR pixels.", rich_help_panel=_REGISTER),
    ] = 3.0,
    region_px: Annotated[
        int,
        typer.Option(help="Side of sub-regions with transforms of their own; 0: none.", rich_help_panel=_REGISTER),
    ] = 0,
    pixel_m: Annotated[
        float | None,
        typer.Option(help="Side of a pixel of the patches in metres; default: the SAR's.", rich_help_panel=_REGISTER),
    ] = None,
    sar_pixel_m: Annotated[
        float | None,
        typer.Option(help="Side of a SAR pixel, where the file does not say.", rich_help_panel=_REGISTER),
    ] = None,
    search_deg: Annotated[
        float, typer.Option(help="With estimate: largest rotation between the scenes.", rich_help_panel=_REGISTER)
    ] = 6.0,
    search_scale: Annotated[
        float, typer.Option(help="With estimate: largest change of scale, 0.06 = 6 %.", rich_help_panel=_REGISTER)
    ] = 0.06,
    max_missing: Annotated[
        float, typer.Option(help="Largest part of missing pixels in a patch.", rich_help_panel=_SCREEN)
    ] = 0.05,
    keep_constant: Annotated[
        bool, typer.Option("--keep-constant", help="Keep patches of one value.", rich_help_panel=_SCREEN)
    ] = False,
    screen: Annotated[
        bool,
        typer.Option(
            "--screen",
            help="Drop texture-less water, mosaic seam lines and near duplicates too; write screening.csv and sheets.",
            rich_help_panel=_SCREEN,
        ),
    ] = False,
    screening: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="A screening.csv with verdicts edited by hand, which win; implies --screen.",
            rich_help_panel=_SCREEN,
        ),
    ] = None,
    water_sar: Annotated[
        float | None, typer.Option(help="Texture-less: SAR contrast below this …", rich_help_panel=_SCREEN)
    ] = None,
    water_optical: Annotated[
        float | None, typer.Option(help="… and optical texture below this.", rich_help_panel=_SCREEN)
    ] = None,
    seam: Annotated[
        float | None, typer.Option(help="Seam line: a step along it steadier than this.", rich_help_panel=_SCREEN)
    ] = None,
    duplicate: Annotated[
        float | None, typer.Option(help="Near duplicates: correlation from this on.", rich_help_panel=_SCREEN)
    ] = None,
    sheet_pages: Annotated[
        int, typer.Option(min=0, help="Most contact sheets of each kind.", rich_help_panel=_SCREEN)
    ] = 20,
    skip_unpaired: Annotated[bool, typer.Option("--skip-unpaired", help="Leave out scenes without partner.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace pairs that are there already.")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Threads; default: one a core.")] = None,
) -> None:
    """Register SAR and optical scenes, and cut them into pairs of patches in the QXS-SAROPT layout.

    Every scene pair is brought onto the pixel grid of its SAR scene, cut, and written with a manifest and a report;
    with --screen also screened, with contact sheets. The folder appears when it is whole, or not at all.
    """
    from osm.data.build_pairs import build_pairs as build
    from osm.data.register.estimate import SearchRule
    from osm.data.register.plan import AlignRule

    search = SearchRule(rotation_deg=search_deg, scale=search_scale)
    rule = AlignRule(align, transform, tolerance_px, region_px, pixel_m, sar_pixel_m, search)
    thresholds = {
        "sar_contrast": water_sar, "optical_texture": water_optical, "seam": seam, "duplicate": duplicate,
    }  # fmt: skip
    with progress_bar() as step:
        report = build(
            sar,
            optical,
            out,
            size_px=size,
            overlap=overlap,
            sar_radiometry=sar_radiometry,
            optical_radiometry=optical_radiometry,
            sar_nodata=sar_nodata,
            optical_nodata=optical_nodata,
            sar_band=sar_band,
            optical_bands=None if optical_bands is None else _three(optical_bands),
            max_missing=max_missing,
            keep_constant=keep_constant,
            skip_unpaired=skip_unpaired,
            aligning=rule,
            tie_points=tie_points,
            screen=_rule(thresholds, wanted=screen or screening is not None),
            screening=screening,
            sheet_pages=sheet_pages,
            overwrite=overwrite,
            jobs=jobs,
            watch=step,
        )
    _show(report, screened=screen or screening is not None)


def _rule(thresholds: dict[str, float | None], *, wanted: bool) -> Any:
    from osm.data.screening.scores import ScreenRule
    from osm.errors import ConfigError

    given = {name: value for name, value in thresholds.items() if value is not None}
    if given and not wanted:
        raise ConfigError(
            "thresholds of the screening", found="no --screen", expected="it beside them", mend="add --screen"
        )
    return ScreenRule(**given) if wanted else None


def _three(text: str) -> tuple[int, int, int]:
    from osm.errors import ConfigError

    try:
        red, green, blue = (int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            "--optical-bands", found=repr(text), expected="three numbers", mend="write for example 3,2,1"
        ) from error
    return red, green, blue


def _show(report: BuildReport, *, screened: bool) -> None:
    if report.already_built:
        typer.echo(
            f"{report.out} already holds the same {report.pairs:,} pairs of {report.scenes:,} scenes; nothing to do"
        )
        return
    for scene in report.scene_records:
        for line in _registered(scene):
            typer.echo(line)
    typer.echo(f"{report.pairs:,} pairs of {report.scenes:,} scenes in {report.out}")
    typer.echo(f"  {report.cut:,} patches → {report.pairs:,} kept")
    for reason, count in report.dropped.items():
        if count:
            typer.echo(f"  dropped {count:,}: {reason}")
    if any(report.by_hand):
        typer.echo(f"  against the screening, by hand: {report.by_hand[0]:,} kept, {report.by_hand[1]:,} dropped")
    for name in report.unpaired:
        typer.echo(f"  left out for want of a partner: {name}")
    typer.echo(f"  settings, checksums and what was dropped: {report.out / 'report.json'}")
    if screened:
        typer.echo(f"  verdicts, to be edited and given to --screening: {report.out / 'screening.csv'}")
        typer.echo(f"  contact sheets: {report.out / 'sheets'}")


def _registered(scene: SceneRecord) -> list[str]:
    """How a scene was registered; nothing of those that are one grid."""
    facts = scene.registration
    if facts.get("method") in (None, "grid"):
        return []
    if facts["method"] == "georeference":
        return [f"{scene.scene}: registered by georeference"]
    lines = []
    for region in facts["regions"]:
        name = f"{scene.scene}" if len(facts["regions"]) == 1 else f"{scene.scene}, sub-region {region['region']}"
        if not region["registered"]:
            lines.append(f"{name}: not registered, too few tie points")
            continue
        metres = "" if region["rmse_m"] is None else f" ({region['rmse_m']:.2f} m)"
        left_out = region["left_out_rmse_px"]
        free = "" if left_out is None else f", {left_out:.2f} at points left out of the fit"
        kind = region["transform"]["kind"]
        lines.append(
            f"{name}: {kind}, {region['used']} of {region['points']} tie points used, "
            f"RMSE {region['rmse_px']:.2f} SAR pixels{metres}{free}"
        )
        if region["covered"] < _LEAST_COVERED:
            lines.append(
                f"  {region['covered']:.0%} of it lies between tie points: the rest is registered by what they say of "
                "elsewhere; add points near its corners"
            )
    return lines
