"""The folder of one pretraining run: empty, interrupted or finished, and never mixed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osm.compat.resume import epoch_checkpoints
from osm.errors import ConfigError
from osm.files import SUMS, clear_torn, read_json, write_json, write_sums

FORMAT = 1
BRANCHES = ("sar", "optical")


@dataclass(frozen=True)
class WorkDir:
    """The files of one run.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def export(self) -> Path:
        """The SAR backbone; written last, so that where it is, the run is finished."""
        return self.path / "sar_backbone.safetensors"

    @property
    def network(self) -> Path:
        """Both branches, as they were judged, for ``osm match``."""
        return self.path / "bridge_network.safetensors"

    @property
    def report(self) -> Path:
        """The matching figures for a person; its pictures are in ``figures``."""
        return self.path / "report.md"

    @property
    def figures(self) -> Path:
        """Folder of the report's pictures."""
        return self.path / "figures"

    @property
    def metrics(self) -> Path:
        """Matching figures on the test pairs."""
        return self.path / "metrics.json"

    @property
    def sums(self) -> Path:
        """SHA-256 of every file that a finished run leaves for others to read."""
        return self.path / SUMS

    @property
    def record(self) -> Path:
        """What the run was started with."""
        return self.path / "run.json"

    @property
    def dropped(self) -> Path:
        """The pairs that are in neither part, and why."""
        return self.path / "dropped.csv"

    @property
    def cache(self) -> Path:
        """What was found in the pixels of the pairs; beside the folder, so that runs on the same pairs share it."""
        return self.path.absolute().parent / ".osm-cache"

    @property
    def log(self) -> Path:
        """The log of all sessions of the run."""
        return self.path / "pretrain.log"

    def certificate(self, branch: str) -> Path:
        """The certificate of a branch, "sar" or "optical"."""
        return self.path / f"certificate_{branch}.json"

    @property
    def finished(self) -> bool:
        """Whether a run was finished here."""
        return self.export.is_file()

    @property
    def checkpoints(self) -> list[Path]:
        """The checkpoints, the newest first."""
        return epoch_checkpoints(self.path)

    @property
    def checkpointed(self) -> bool:
        """Whether a run was interrupted here after its first checkpoint."""
        return bool(self.checkpoints)

    def prepare(self, record: dict[str, Any], *, resume: bool, overwrite: bool) -> None:
        """Make the folder ready for a run.

        Args:
            record: What decides the outcome of the run, as JSON values.
            resume: Continue an interrupted run.
            overwrite: Discard whatever run is here.

        Raises:
            ConfigError: A finished run, or an interrupted one, is here and nothing was said about it; or the
                run to be resumed was started with something else.
        """
        if overwrite:
            self._clear()
        elif self.finished:
            raise ConfigError(
                self.path,
                found="a finished run",
                expected="a new folder",
                mend="choose another --work-dir, or discard this run with --overwrite",
            )
        elif self.checkpointed and not resume:
            raise ConfigError(
                self.path,
                found="an interrupted run",
                expected="a new folder",
                mend="continue it with --resume, or discard it with --overwrite",
            )
        elif self.checkpointed:
            self._compare(record)
        self.path.mkdir(parents=True, exist_ok=True)
        clear_torn(self.path, [path.name for path in (*self._made(), self.sums, self.path / "last_checkpoint")])
        # of checkpoints and pictures, whose final names are not known
        for torn in (*self.path.glob(".epoch_*.pth"), *self.figures.glob(".*.png")):
            torn.unlink()
        write_json(self.record, {"format": FORMAT, **record})

    def write_sums(self) -> None:
        """List the digests of all that a finished run leaves."""
        write_sums(self.path, [str(path.relative_to(self.path)) for path in self._made()])

    def _made(self) -> list[Path]:
        # the export goes first: without it nobody takes the rest for a finished run
        made = [self.export, self.network, self.metrics, self.report, self.record, self.dropped]
        return made + [self.certificate(name) for name in BRANCHES] + sorted(self.figures.glob("*.png"))

    def _clear(self) -> None:
        for file in (*self._made(), self.sums, self.log, self.path / "last_checkpoint", *self.path.glob("epoch_*.pth")):
            file.unlink(missing_ok=True)

    def _compare(self, record: dict[str, Any]) -> None:
        before = _flat(read_json(self.record))
        now = _flat({"format": FORMAT, **record})
        missing = object()
        names = sorted(set(before) | set(now))
        differ = [name for name in names if before.get(name, missing) != now.get(name, missing)]
        if differ:
            wanted = repr(before[differ[0]]) if len(differ) == 1 and differ[0] in before else _listed(differ, before)
            raise ConfigError(
                self.path,
                found=_listed(differ, now),
                expected=f"{wanted}, as the interrupted run has it",
                mend="resume with what it was started with, or discard it with --overwrite",
            )


def _listed(names: list[str], values: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {values[name]!r}" if name in values else f"no {name}" for name in names)


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        name: leaf
        for key, entry in value.items()
        for name, leaf in _flat(entry, f"{prefix}.{key}" if prefix else key).items()
    }
