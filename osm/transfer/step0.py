"""The last look before the first step: whether a backbone that is about to be trained is the one that was loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from osm.transfer.certificate import Certificate


class CertificateHook(Hook):
    """Compares the backbone at the first training step with its certificate, and writes down what it found.

    A resumed run has moved on from its start and is left alone.

    Args:
        certificate: Of the backbone.
        path: Its file, which is written anew with the entry ``step0``.
        part: Name of the backbone within the model.
        reestimated: Whether statistics of batch norm were estimated anew on purpose.
    """

    priority = "LOWEST"  # after all that others do before a step

    def __init__(
        self, certificate: Certificate, path: Path, *, part: str = "backbone", reestimated: bool = False
    ) -> None:
        self.certificate = certificate
        self.path = path
        self.part = part
        self.reestimated = reestimated

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """At the very first step, look, write and compare.

        Raises:
            WeightsError: The weights are not those that were loaded.
        """
        if runner.iter:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        backbone = model.get_submodule(self.part)
        self.certificate = self.certificate.at_step0(backbone, reestimated=self.reestimated)
        if is_main_process():
            self.certificate.write(self.path)
        self.certificate.confirm()
