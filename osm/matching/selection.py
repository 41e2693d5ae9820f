"""Which epoch to export: the one whose SAR backbone a probe liked best, not the one that matched best.

A network that matches well need not transfer well. Every few epochs the SAR backbone is written down and judged by
a function from outside (``osm.detection.probe``, which this package does not know); the best one is exported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from torch import nn

from osm.errors import ConfigError
from osm.files import read_json, write_json
from osm.transfer.card import Card
from osm.transfer.export import export_backbone, read_export

#: Tells how good a file of weights is; the higher the better. It must not look at what is reported later.
Judge = Callable[[Path], float]

FOLDER = "candidates"
RECORD = "selection.json"


@dataclass(frozen=True)
class Candidate:
    """One epoch that was judged.

    Attributes:
        epoch: Epochs trained; 0 is the start, which is judged to compare with and never chosen.
        score: What the judge said.
    """

    epoch: int
    score: float


def best(candidates: list[Candidate]) -> Candidate:
    """The trained candidate of the highest score, the earliest of several.

    Raises:
        ValueError: Nothing was trained.
    """
    trained = [candidate for candidate in candidates if candidate.epoch]
    return max(trained, key=lambda candidate: (candidate.score, -candidate.epoch))


class SelectionHook(Hook):
    """Writes candidates, has them judged, and keeps the best.

    Args:
        folder: Work folder of the run.
        judge: The judge.
        every_epochs: Epochs between two candidates; the last epoch is one in any case.
        backbone: The SAR backbone that is trained.
        card: Card of the candidates.
    """

    priority = "NORMAL"

    def __init__(self, folder: Path, judge: Judge, every_epochs: int, backbone: nn.Module, card: Card) -> None:
        self.folder = folder
        self.judge = judge
        self.every_epochs = every_epochs
        self.backbone = backbone
        self.card = card
        self.candidates: list[Candidate] = []

    def before_train(self, runner: Any) -> None:
        """Judge the start, or take up what an interrupted run judged."""
        record = self.folder / RECORD
        if runner.epoch and record.is_file():
            found = [Candidate(**entry) for entry in read_json(record)["candidates"]]
            self.candidates = [candidate for candidate in found if candidate.epoch <= runner.epoch]
        if not self.candidates:
            self._try(0)

    def after_train_epoch(self, runner: Any) -> None:
        """Judge this epoch, if it is its turn."""
        epoch = runner.epoch + 1
        known = {candidate.epoch for candidate in self.candidates}
        if epoch not in known and (epoch % self.every_epochs == 0 or epoch == runner.max_epochs):
            self._try(epoch)

    def restore_best(self) -> dict[str, Any]:
        """Set the SAR backbone to the chosen candidate.

        Returns:
            For ``metrics.json``: the epoch that was chosen, its score, that of the start, and all candidates.

        Raises:
            WeightsError: The candidate's file was damaged or removed.
        """
        chosen = best(self.candidates)
        # checked against the digest inside, and whole: statistics and counters come along
        tensors, _ = read_export(self._file(chosen.epoch))
        self.backbone.load_state_dict(tensors)
        self._keep({chosen.epoch})
        start = next(candidate.score for candidate in self.candidates if not candidate.epoch)
        return {
            **asdict(chosen),
            "score_of_start": start,
            "candidates": [asdict(candidate) for candidate in self.candidates],
        }

    def _file(self, epoch: int) -> Path:
        return self.folder / FOLDER / f"epoch_{epoch}.safetensors"

    def _try(self, epoch: int) -> None:
        if is_main_process():
            path = self._file(epoch)
            export_backbone(path, self.backbone, self.card)
            self.candidates.append(Candidate(epoch, float(self.judge(path))))
            write_json(self.folder / RECORD, {"candidates": [asdict(entry) for entry in self.candidates]})
            self._forget_the_rest()
        barrier()

    def _forget_the_rest(self) -> None:
        """Remove the files of candidates that cannot be chosen any more.

        Those stay that were the best once: whoever goes on from an earlier checkpoint judges later epochs again, and
        may come to another choice.
        """
        leading = {best(self.candidates[: end + 1]).epoch for end, one in enumerate(self.candidates) if one.epoch}
        self._keep(leading)

    def _keep(self, epochs: Collection[int]) -> None:
        for candidate in self.candidates:
            if candidate.epoch not in epochs:
                self._file(candidate.epoch).unlink(missing_ok=True)


def check_selection(every_epochs: int, judge: Judge | None) -> None:
    """Check that a config that selects has a judge, and the other way round.

    Raises:
        ConfigError: One is there without the other.
    """
    if bool(every_epochs) != (judge is not None):
        raise ConfigError(
            "--probe-root",
            found=f"train.select_every_epochs = {every_epochs} and {'no folder' if judge is None else 'a folder'}",
            expected="a number of epochs and a folder of labelled scenes to probe on, or neither",
            mend="give both --set train.select_every_epochs=… and --probe-root …",
        )
