"""What an undisturbed run of each command leaves, run once a worker; and the notes that become a table."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.cases import Case, make_case, make_inputs
from tests.faults.places import used_bytes
from tests.faults.processes import run

NOTES = Path(__file__).resolve().parents[2] / "build/faults.jsonl"


@dataclass(frozen=True)
class Undisturbed:
    """A run that nothing happened to.

    Attributes:
        case: The command.
        outcome: What it left.
        seconds: It took.
        used_bytes: Its output and caches take.
    """

    case: Case
    outcome: dict[str, str]
    seconds: float
    used_bytes: int


class Bench:
    """Inputs, and undisturbed runs over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runs: dict[str, Undisturbed] = {}
        make_inputs(folder / "inputs")

    def case(self, name: str, folder: Path, *, own_inputs: bool = False) -> Case:
        """A command that writes to ``folder/out``; with inputs of its own, if they are to be damaged."""
        self.undisturbed(name)  # first: what begins is compared with it by the second
        inputs = self.folder / "inputs" / name
        if own_inputs:
            inputs = Path(shutil.copytree(inputs, folder / "inputs"))
        return make_case(name, inputs, folder / "out")

    def undisturbed(self, name: str) -> Undisturbed:
        """The undisturbed run of a command."""
        if name not in self._runs:
            folder = self.folder / name
            folder.mkdir()
            case = make_case(name, self.folder / "inputs" / name, folder / "out")
            ended = run(case.arguments, self.folder / "said" / name)
            assert ended.code == 0, ended.errors[-3000:]
            self._runs[name] = Undisturbed(case, case.outcome(), ended.seconds, used_bytes(folder))
        return self._runs[name]

    def note(self, command: str, fault: str, happened: str, line: str = "") -> None:
        """Keep what happened, for the table of docs/reliability.md."""
        NOTES.parent.mkdir(exist_ok=True)
        entry = {"command": command, "fault": fault, "happened": happened, "line": line}
        with NOTES.open("a") as stream:  # short lines, appended at once: two workers do not mix them
            stream.write(json.dumps(entry) + "\n")


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    from osm.compat.operators import ensure_operators

    # what takes seconds to import is imported before processes are forked
    ensure_operators()
    import mmdet.models  # noqa: F401
    import torch

    import osm.compare.report
    import osm.compare.run
    import osm.detection.engine
    import osm.detection.inference
    import osm.matching.pretrain  # noqa: F401

    torch.set_num_threads(1)
    return Bench(tmp_path_factory.mktemp("faults"))
