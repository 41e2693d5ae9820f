"""The end of a pretraining: judged on unseen pairs, described, brought to its last form and exported."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from osm.compat.runner import QuietRunner
from osm.files import write_json
from osm.matching.dataset import PairDataset
from osm.matching.evaluate import evaluate
from osm.matching.matcher import export_network
from osm.matching.network import BridgeNetwork
from osm.matching.report import write_report
from osm.matching.results import make_card, metrics_json, summary
from osm.matching.selection import SelectionHook
from osm.matching.settings import Settings
from osm.matching.start import interpolate, reestimate_branch
from osm.matching.workdir import WorkDir
from osm.transfer.certificate import Certificate
from osm.transfer.export import export_backbone


@dataclass(frozen=True, eq=False)
class Begun:
    """What a run was before its first step.

    Attributes:
        time_s: Reading of ``time.monotonic`` at the start.
        data: What ``data_facts`` gave.
        certificate: Start of the SAR backbone.
        weights: Its weights by name.
    """

    time_s: float
    data: dict[str, Any]
    certificate: Certificate
    weights: Mapping[str, Tensor]


def finish(
    network: BridgeNetwork,
    settings: Settings,
    work: WorkDir,
    begun: Begun,
    *,
    runner: QuietRunner,
    steps_per_epoch: int,
    train: PairDataset,
    test: PairDataset,
    selection: SelectionHook | None,
    log: logging.Logger,
) -> None:
    """Judge a trained network and write all that a run leaves, the SAR backbone last: where it is, the run is finished.

    Figures, report and network are those of the last epoch. The SAR backbone may be another one: of the epoch that
    was chosen, or on the way back to its start; its card and ``metrics.json`` say so.

    Args:
        network: As it was trained; its SAR backbone is changed in place.
        settings: Settings of the run.
        work: Its folder.
        begun: What it was before.
        runner: What trained it.
        steps_per_epoch: Steps of this process in an epoch.
        train: Training pairs.
        test: Unseen pairs.
        selection: What chose the epoch, if anything did.
        log: Where to say what was reached.

    Raises:
        DataError: A patch cannot be read.
    """
    batch_size = settings.train.batch_size
    seed = settings.data.split_seed
    workers = settings.data.workers
    evaluation = evaluate(network, train, test, batch_size=batch_size, workers=workers, seed=seed)
    metrics = metrics_json(
        evaluation,
        settings,
        begun.data,
        start=begun.certificate,
        steps=runner.iter,
        final_loss=_final_loss(runner, steps_per_epoch),
        seconds=time.monotonic() - begun.time_s,
    )
    card = make_card(settings, begun.data, begun.certificate, metrics)
    write_report(work, evaluation, metrics, card, test)
    export_network(work.network, network, card)
    if selection is not None:
        metrics["selection"] = selection.restore_best()
        card = make_card(settings, begun.data, begun.certificate, metrics)
    write_json(work.metrics, metrics)
    backbone, last = network.sar.backbone, settings.finish
    if last.interpolate < 1:
        interpolate(backbone, begun.weights, last.interpolate)
    if last.interpolate < 1 or last.reestimate_bn:
        reestimate_branch(network, "sar", train, batch_size=batch_size)
    export_backbone(work.export, backbone, card)
    work.write_sums()
    log.info(
        f"done in {metrics['seconds']:.0f} s: {summary(metrics)}\n"
        f"report: {work.report}\nboth branches, for osm match: {work.network}\nSAR backbone: {work.export}"
    )


def _final_loss(runner: QuietRunner, steps_per_epoch: int) -> float | None:
    history = runner.message_hub.log_scalars.get("train/loss")
    return None if history is None else float(history.mean(steps_per_epoch))
