"""Stage 1 from a config to an exported SAR backbone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.model import is_model_wrapper
from mmengine.registry import MODELS

from osm.compat.allocator import memory_kept
from osm.compat.checkpoints import trust_mmengine_checkpoints
from osm.compat.compiling import check_compiler, compiled
from osm.compat.device import precision_on
from osm.compat.resume import newest_checkpoint
from osm.compat.sync_norm import separate_batch_norm, synchronise_batch_norm
from osm.data.parallel import Step
from osm.data.screen import counts, write_dropped
from osm.errors import ConfigError, DataError
from osm.files import exclusive, sha256_file
from osm.matching.config import load_settings
from osm.matching.dataset import OpenedPairs, PairDataset, open_pairs
from osm.matching.finish import Begun, finish
from osm.matching.launch import join_processes, main_process_first
from osm.matching.network import BridgeNetwork
from osm.matching.resident import wants_resident
from osm.matching.results import data_facts, make_card, one_radiometry
from osm.matching.runner import build_runner, network_config, open_readable_log, runner_config
from osm.matching.selection import Judge, SelectionHook, check_selection
from osm.matching.settings import Settings
from osm.matching.start import AnchorHook, reestimate_branch, weights_of
from osm.matching.target import TargetHook, target_tiles
from osm.matching.workdir import BRANCHES, WorkDir
from osm.transfer.certificate import Certificate
from osm.transfer.step0 import CertificateHook


@dataclass(frozen=True)
class PretrainResult:
    """What a run leaves behind.

    Attributes:
        sar_backbone: The exported backbone of the SAR branch, with its card.
        metrics: Matching figures on the test pairs.
    """

    sar_backbone: Path
    metrics: Path


def pretrain(
    config: Path,
    *,
    data_root: Path,
    work_dir: Path,
    init: Path | None = None,
    target_root: Path | None = None,
    judge: Judge | None = None,
    allow_contract_mismatch: bool = False,
    seed: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    tensorboard: bool = False,
    launcher: str = "none",
    options: Mapping[str, Any] | None = None,
    watch: Callable[[], AbstractContextManager[Step | None]] = nullcontext,
) -> PretrainResult:
    """Train a bridge network on pairs, judge it and export its SAR backbone.

    Args:
        config: A config of ``configs/pretrain``.
        data_root: Folder of the pairs.
        work_dir: Folder for everything that is written.
        init: Weights that both backbones start from.
        target_root: Folder of the labelled data set whose training tiles are mixed in, if the config says so.
        judge: Tells how good a SAR backbone is, if the config chooses the epoch by that. It must not look at what
            is reported later.
        allow_contract_mismatch: Whether ``init`` may have been trained on other input; certificates say so.
        seed: Replaces ``train.seed``.
        resume: Continue an interrupted run; a finished one is left as it is.
        overwrite: Discard a run that is in ``work_dir``.
        tensorboard: Write TensorBoard's files too.
        launcher: How processes were started: "none" for one, "pytorch" (torchrun) or "slurm".
        options: Values by dotted name (``train.epochs``) that replace those of the config.
        watch: Opens what is told how far the look at the pixels is, which comes before the training and can take
            minutes; closed before the log begins.

    Returns:
        Where the export and the figures are.

    Raises:
        ConfigError: The config, the work folder or their combination is at fault, or the loss diverged.
        DataError: The pairs are at fault.
        WeightsError: ``init`` does not fit.
    """
    began_s = time.monotonic()
    allowed = allow_contract_mismatch
    work = WorkDir(work_dir)
    overrides = {**(options or {}), **({} if seed is None else {"train.seed": seed})}
    settings = load_settings(config, overrides)
    if resume and overwrite:
        raise ConfigError(
            "--resume and --overwrite", found="both", expected="one of them", mend="leave one of the two out"
        )
    check_selection(settings.train.select_every_epochs, judge)
    join_processes(launcher)
    with main_process_first(), watch() if is_main_process() else nullcontext() as step:
        opened = open_pairs(data_root, settings.data.split_rule, cache=work.cache, progress=step)
    folder, split = opened.folder, opened.split
    cuda = torch.cuda.is_available()
    steps_per_epoch = _check_fit(config, settings, opened)
    if settings.train.compile:
        check_compiler("cuda" if cuda else "cpu")
    resident = wants_resident(settings.data.resident, folder, len(split.train))
    data = data_facts(folder, split, opened.screen)
    radiometry = one_radiometry(data)
    tiles = target_tiles(settings, target_root)
    if tiles is not None:
        data["target"] = tiles.facts()
    # what does not fit has stopped before anything is written; two runs would write over each other's files
    with exclusive(work_dir) if is_main_process() else nullcontext():
        if work.finished and resume:
            if not work.sums.is_file() and is_main_process():  # it was stopped just before
                work.write_sums()
            open_readable_log(work.log).info(f"the run in {work.path} was finished before; nothing to do")
            return PretrainResult(work.export, work.metrics)
        if is_main_process():
            # before anything is discarded: weights that do not exist must not cost a run
            source = {"name": init.name, "sha256": _digest(init)} if init else None
            record = {"settings": settings.to_json(), "data": data, "init": source, "processes": get_world_size()}
            network: BridgeNetwork = _build(settings)
            certificates = _start(network, init, settings, radiometry, allowed)
            work.prepare(record, resume=resume, overwrite=overwrite)
            write_dropped(work.dropped, opened.dropped)
            if resume:
                first, second = (
                    one.resumed(work.certificate(name)) for name, one in zip(BRANCHES, certificates, strict=True)
                )
                certificates = first, second
            for branch, certificate in zip(BRANCHES, certificates, strict=True):
                certificate.write(work.certificate(branch))
        else:
            network = _build(settings)
            certificates = _start(network, init, settings, radiometry, allowed)
        barrier()
        patches = PairDataset.of(folder, split, "train")
        if settings.start.reestimate_bn:
            for branch in BRANCHES:
                reestimate_branch(network, branch, patches, batch_size=settings.train.batch_size)
            network.align_keys()
        begun = Begun(began_s, data, certificates[0], weights_of(network.sar.backbone))
        if settings.train.sync_bn:
            # what is frozen stays in evaluation
            synchronise_batch_norm(network, without=network.frozen)

        log = open_readable_log(work.log)
        coverage = certificates[0].coverage
        device = get_device()
        precision = precision_on(settings.train.precision, device)
        if opened.dropped:
            log.info(f"{len(opened.dropped)} pairs are left out, listed in {work.dropped}: {counts(opened.dropped)}")
        log.info(
            f"{len(split.train)} training and {len(split.test)} test pairs (split: {split.kind}); "
            f"{settings.model['architecture']} from {init.name if init else 'a random start'} "
            f"(coverage {coverage:.2f}); "
            f"{settings.train.epochs} epochs of {steps_per_epoch} steps on {device} in {precision}; "
            f"everything else: {work.log}"
        )
        trust_mmengine_checkpoints()
        plan = runner_config(
            settings,
            data_root=data_root,
            work_dir=work_dir,
            steps_per_epoch=steps_per_epoch,
            tensorboard=tensorboard,
            cuda=cuda,
            resident=resident,
        )
        plan["train_dataloader"]["dataset"]["cache"] = str(work.cache)
        resume_from = newest_checkpoint(work.checkpoints, network) if resume else None
        runner = build_runner(network, plan, config_path=config, resume_from=resume_from, launcher=launcher)
        if tiles is not None:
            runner.register_hook(TargetHook(tiles))
        if settings.train.anchor:
            runner.register_hook(AnchorHook(network, settings.train.anchor))
        for branch, certificate in zip(BRANCHES, certificates, strict=True):
            where, anew = work.certificate(branch), settings.start.reestimate_bn
            runner.register_hook(CertificateHook(certificate, where, part=f"{branch}.backbone", reestimated=anew))
        selection = None
        if judge is not None:
            card = make_card(settings, data, certificates[0], {})
            every = settings.train.select_every_epochs
            selection = SelectionHook(work_dir, judge, every, network.sar.backbone, card)
            runner.register_hook(selection)
        backbones = [branch.backbone for branch in (network.sar, network.optical)]
        with (
            memory_kept(settings.train.keep_memory and not cuda),
            compiled(backbones, settings.train.compile, "cuda" if cuda else "cpu"),
        ):
            runner.train()
        runner.release_workers()
        if is_main_process():
            trained: BridgeNetwork = runner.model.module if is_model_wrapper(runner.model) else runner.model
            separate_batch_norm(trained)  # from here on the main process works alone
            finish(
                trained,
                settings,
                work,
                begun,
                runner=runner,
                steps_per_epoch=steps_per_epoch,
                train=patches,
                test=PairDataset.of(folder, split, "test"),
                selection=selection,
                log=log,
            )
        barrier()
        return PretrainResult(work.export, work.metrics)


def _build(settings: Settings) -> BridgeNetwork:
    network: BridgeNetwork = MODELS.build(network_config(settings))
    return network


def _start(
    network: BridgeNetwork, init: Path | None, settings: Settings, radiometry: str, allowed: bool
) -> tuple[Certificate, Certificate]:
    return network.start(init, settings.init_min_coverage, sar_radiometry=radiometry, allow_contract_mismatch=allowed)


def _digest(init: Path) -> str | None:
    # a missing file gets its own error where it is loaded
    return sha256_file(init) if init.is_file() else None


def _check_fit(config: Path, settings: Settings, opened: OpenedPairs) -> int:
    """Steps of an epoch and process, at least 1."""
    folder, split = opened.folder, opened.split
    left_out = f"; left out: {counts(opened.dropped)}" if opened.dropped else ""
    for part, indices in (("training", split.train), ("test", split.test)):
        if len(indices) < 2:
            raise DataError(
                folder.root,
                found=f"{len(indices)} {part} pairs among {len(folder)} (split: {split.kind}{left_out})",
                expected="at least 2, since a non-match takes two",
                mend="add pairs or change data.train_fraction",
            )
    share: int = len(split.train) // get_world_size()
    batch = settings.train.batch_size
    if share < batch:
        raise ConfigError(
            config,
            found=f"train.batch_size = {batch} for {share} training pairs a process{left_out}",
            expected="at least one full batch",
            mend=f"set train.batch_size={max(2, share)} or less, or add pairs",
        )
    width_px, height_px = folder.size_px
    if width_px != height_px or settings.data.size_px > width_px:
        raise ConfigError(
            config,
            found=f"data.size_px = {settings.data.size_px} for patches of {width_px}x{height_px}",
            expected="square patches of at least that size",
            mend=f"set data.size_px={min(folder.size_px)}",
        )
    if settings.augment.crop_px > width_px:
        raise ConfigError(
            config,
            found=f"augment.crop_px = {settings.augment.crop_px} for patches of {width_px}x{height_px}",
            expected="windows that lie inside the patches",
            mend=f"set augment.crop_px={width_px} or less",
        )
    return share // batch
