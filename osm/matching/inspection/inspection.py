"""An inspection: everything that is looked at, computed first and written last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from osm.data.eight_bit import AUTO
from osm.data.pairs import read_pairs
from osm.errors import ConfigError, DataError
from osm.matching.inspection.arms import Arm, Asked, load_arms
from osm.matching.inspection.cells import BLOCK_PX
from osm.matching.inspection.embeddings import Embedded, embed_pairs
from osm.matching.inspection.features import (
    Likeness,
    Progress,
    between_arms,
    between_stages,
    device_of,
    gather_features,
    normalise,
)
from osm.matching.inspection.filters import Filters, first_filters
from osm.matching.inspection.maps import StageActivation, activation
from osm.matching.inspection.stages import stage_maps
from osm.matching.inspection.tiles import Tile, choose_images, most_varied, read_tile
from osm.transfer.architectures import Architecture, architecture


@dataclass(frozen=True)
class Wanted:
    """What is to be inspected.

    Attributes:
        arms: The arms.
        architecture: Of all of them.
        images: SAR images: folders, globs or files.
        pairs: A folder of pairs for the embeddings; None for none.
        networks: Bridge networks to embed them; where there are none, those beside the arms' weights.
        shown: The image whose activations are mapped; None for the one that varies most.
        most_images: At most so many are looked at.
        tile_px: Longest side of what is cut from each.
        radiometry: How their values become 8 bits.
        seed: Of random starts, of places and of t-SNE.
        device: A device of torch.
    """

    arms: tuple[Asked, ...]
    architecture: str
    images: tuple[str, ...]
    pairs: Path | None = None
    networks: tuple[Path, ...] = ()
    shown: Path | None = None
    most_images: int = 64
    tile_px: int = 256
    radiometry: str = AUTO
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class Inspection:
    """What was found.

    Attributes:
        wanted: What was asked.
        known: The architecture.
        arms: The arms.
        tiles: The images that were looked at.
        images_given: How many there were to choose from.
        constant: Images that were left out, since all their pixels are equal.
        cells: Places that were compared.
        channels: Channels of each stage.
        between_arms: CKA of every two arms, stage by stage.
        between_stages: CKA of every two stages of the first arm, where it is the only one that was asked for.
        filters: First layer of each arm by its letter.
        shown: The tile of the activation maps.
        activations: Of each arm by its letter.
        embedded: Embeddings of each network.
    """

    wanted: Wanted
    known: Architecture
    arms: tuple[Arm, ...]
    tiles: tuple[Tile, ...]
    images_given: int
    constant: tuple[Path, ...]
    cells: int
    channels: dict[str, int]
    between_arms: tuple[Likeness, ...]
    between_stages: tuple[Likeness, ...]
    filters: dict[str, Filters]
    shown: Tile
    activations: dict[str, tuple[StageActivation, ...]]
    embedded: tuple[Embedded, ...]


def inspect(wanted: Wanted, progress: Progress | None = None) -> Inspection:
    """Look at some arms; nothing is written.

    Args:
        wanted: What to look at.
        progress: Called with what is under way.

    Raises:
        ConfigError: Settings that do not go together.
        DataError: No image, or one that cannot be read, is too small, or all are constant.
        WeightsError: Weights that do not fit.
    """
    known = architecture(wanted.architecture)
    if wanted.tile_px < BLOCK_PX:
        raise ConfigError(
            "--tile-px", found=str(wanted.tile_px), expected=f"at least {BLOCK_PX}", mend="give a larger one"
        )
    if wanted.networks and wanted.pairs is None:
        raise ConfigError(
            "--network", found="a network and no pairs", expected="pairs for it to embed", mend="add --pairs FOLDER"
        )
    # images first: they are quick to refuse
    paths, given = choose_images(wanted.images, wanted.most_images)
    read = [read_tile(path, wanted.tile_px, wanted.radiometry) for path in paths]
    tiles, constant = _with_content(read)
    shown = most_varied(tiles)
    if wanted.shown is not None:
        shown = read_tile(wanted.shown, wanted.tile_px, wanted.radiometry)
        if shown.constant:
            raise _nothing_to_see(wanted.shown)
    pairs = None if wanted.pairs is None else read_pairs(wanted.pairs)
    arms = load_arms(wanted.arms, wanted.architecture, wanted.seed, wanted.device)
    features = {arm.letter: gather_features(arm, tiles, known, wanted.seed, progress) for arm in arms}
    asked = [arm for arm in arms if not arm.added]
    networks = wanted.networks or tuple(path for arm in arms if (path := arm.network_beside) is not None)
    embedded = []
    for number, path in enumerate(networks if pairs is not None else ()):
        if progress is not None:
            progress("embedding pairs", number, len(networks))
        assert pairs is not None
        embedded.append(embed_pairs(path, pairs, wanted.seed, wanted.device))
    first = features[arms[0].letter]
    return Inspection(
        wanted=wanted,
        known=known,
        arms=tuple(arms),
        tiles=tuple(tiles),
        images_given=given,
        constant=constant,
        cells=len(first[known.stages[0]]),
        channels={stage: values.shape[1] for stage, values in first.items()},
        between_arms=tuple(between_arms(features, wanted.seed)),
        between_stages=tuple(between_stages(features, arms[0].letter, wanted.seed)) if len(asked) == 1 else (),
        filters={arm.letter: first_filters(arm.backbone, known.std) for arm in arms},
        shown=shown,
        activations={arm.letter: _activations(arm, shown, known) for arm in arms},
        embedded=tuple(embedded),
    )


def _with_content(read: Sequence[Tile]) -> tuple[list[Tile], tuple[Path, ...]]:
    tiles = [tile for tile in read if not tile.constant]
    if not tiles:
        raise _nothing_to_see(read[0].path)
    return tiles, tuple(tile.path for tile in read if tile.constant)


def _nothing_to_see(path: Path) -> DataError:
    return DataError(
        path,
        found="a tile whose pixels are all equal",
        expected="a SAR image with something on it",
        mend="give other images, or another --radiometry",
    )


def _activations(arm: Arm, tile: Tile, known: Architecture) -> tuple[StageActivation, ...]:
    maps = stage_maps(arm.backbone, known.stages, normalise(tile.pixels, known, device_of(arm.backbone)))
    return tuple(activation(stage, values) for stage, values in maps.items())
