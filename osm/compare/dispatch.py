"""Where cells run: in this process, in processes of this machine, or as jobs of a Slurm cluster."""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from osm.compat.submitit_import import load_submitit
from osm.errors import ConfigError, EnvironmentProblem, OSMError

if TYPE_CHECKING:
    from submitit import Job

EXECUTORS = ("here", "local", "slurm")
#: A cell has no time limit of ours; submitit wants one.
LONGEST_MIN = 60 * 24 * 28
POLL_S = 0.5
QUEUE_S = 10.0

Task = TypeVar("Task")


@dataclass(frozen=True)
class Dispatch:
    """Where cells run.

    Attributes:
        executor: ``here`` (one after the other, in this process), ``local`` (processes of this machine, which end
            with this one; with GPUs, each has one of them) or ``slurm`` (jobs of a cluster, which go on when this
            process is killed, and are waited for when it is run again).
        jobs: Cells at a time; of ``slurm``, at most so many in the queue at once.
        options: Of ``slurm``, what submitit's executor is told: ``timeout_min``, ``mem_gb``, ``cpus_per_task``,
            ``gpus_per_node``, ``slurm_partition`` and the like.
    """

    executor: str = "here"
    jobs: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.executor not in EXECUTORS:
            raise ConfigError(
                "--executor", found=repr(self.executor), expected=" or ".join(EXECUTORS), mend="correct the option"
            )
        if self.jobs < 1:
            raise ConfigError("--jobs", found=str(self.jobs), expected="1 or more", mend="correct the option")
        if self.options and self.executor != "slurm":
            raise ConfigError(
                "--cluster",
                found=f"{', '.join(self.options)} with the executor {self.executor}",
                expected="options of a cluster with --executor slurm",
                mend="add --executor slurm, or leave them out",
            )


def run_tasks(
    function: Callable[[Task], None], tasks: Sequence[Task], dispatch: Dispatch, logs: Path
) -> Iterator[tuple[int, str | None]]:
    """Run every task as a process of its own, whatever happens to the others.

    Args:
        function: A function of a module; it leaves its result in a file.
        tasks: Values that can be pickled.
        dispatch: ``local`` or ``slurm``.
        logs: Folder for what the processes print.

    Yields:
        As tasks end: the task's number, and why it was lost, or None if it was not.

    Raises:
        EnvironmentProblem: There is no Slurm here.
        ConfigError: submitit does not know an option.
    """
    waiting = list(enumerate(tasks))
    running: dict[int, tuple[int, Job[None]]] = {}
    slots = list(range(min(dispatch.jobs, len(tasks))))
    absent = _Absent(running if dispatch.executor == "slurm" else {})
    try:
        while waiting or running:
            while waiting and slots:
                number, task = waiting.pop(0)
                slot = slots.pop(0)
                running[number] = slot, _submit(function, task, dispatch, logs, slot)
            for number, (slot, job) in list(running.items()):
                gone = job.job_id in absent.sight()
                if job.done() or gone:
                    del running[number]
                    slots.append(slot)
                    yield number, _lost(job, gone=gone)
            if running:
                time.sleep(POLL_S)
    finally:
        # interrupted: jobs that nobody waits for would go on, and on a cluster cost
        for _, job in running.values():
            job.cancel(check=False)


def _submit(function: Callable[[Task], None], task: Task, dispatch: Dispatch, logs: Path, slot: int) -> Job[None]:
    import torch

    submitit = load_submitit()
    try:
        executor: Any
        if dispatch.executor == "slurm":
            executor = submitit.AutoExecutor(logs, cluster="slurm")
            executor.update_parameters(**{"timeout_min": 60 * 24, **dispatch.options})
            return executor.submit(function, task)  # type: ignore[no-any-return]
        executor = submitit.LocalExecutor(logs)
        executor.update_parameters(timeout_min=LONGEST_MIN)
        gpus = _visible_gpus(torch.cuda.device_count())
        gpu = gpus[slot % len(gpus)] if gpus else ""
        # a cell that runs alone has as many threads as it would have here, which decides the last bits of its sums
        threads = max(1, min(torch.get_num_threads(), len(os.sched_getaffinity(0)) // dispatch.jobs))
        return executor.submit(_with_parent, function, task, os.getpid(), threads, gpu)  # type: ignore[no-any-return]
    except (NameError, TypeError, ValueError, AssertionError) as error:
        raise ConfigError(
            "--cluster", found=str(error), expected="options of submitit", mend="correct the option"
        ) from error
    except (RuntimeError, submitit.core.utils.FailedJobError) as error:
        raise EnvironmentProblem(
            f"executor {dispatch.executor}",
            found=str(error),
            expected="a cluster that takes jobs",
            mend="run it on a login node of a Slurm cluster, or with --executor local",
        ) from error


def _visible_gpus(count: int) -> list[str]:
    """Names of the GPUs that this process may use, as its own CUDA_VISIBLE_DEVICES has them: others are somebody's."""
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named[:count] if named else [str(number) for number in range(count)]


def _with_parent(function: Callable[[Task], None], task: Task, parent: int, threads: int, gpu: str) -> None:
    """Call the function with its share of the cores and its GPU, and end when the process that asked for it ends."""
    import torch

    # before the first call of CUDA, which looks at it once; submitit's own takes numbers, and a GPU may have a name
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    torch.set_num_threads(threads)
    try:
        alive = os.pidfd_open(parent)
    except ProcessLookupError:
        return

    def follow() -> None:
        select.select([alive], [], [])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    function(task)


class _Absent:
    """Jobs of a cluster that have left its queue without a result.

    submitit learns of those from Slurm's accounting, which many a small cluster does without; it would wait for ever.
    """

    def __init__(self, running: Mapping[int, tuple[int, Job[None]]]) -> None:
        self.running = running
        self.looked = time.monotonic()
        self.before: set[str] = set()
        self.now: set[str] = set()

    def sight(self) -> set[str]:
        """Ids that were absent at the last two looks: a result may take a moment to be seen on a shared disk."""
        if self.running and time.monotonic() - self.looked > QUEUE_S:
            self.looked = time.monotonic()
            queue = subprocess.run(["squeue", "--noheader", "--format=%i"], capture_output=True, text=True, check=False)
            if queue.returncode == 0:
                ids = {job.job_id for _, job in self.running.values()}
                self.before, self.now = self.now, ids - set(queue.stdout.split())
        return self.before & self.now


def _lost(job: Job[None], *, gone: bool) -> str | None:
    """Why a job that has ended gave nothing, in one line; None if it gave something."""
    if gone and not job.paths.result_pickle.exists():
        return f"it left the queue without a result (log: {job.paths.stderr})"
    try:
        error = job.exception()
    except OSError as fault:  # the folder of the jobs went, or cannot be read
        return f"what it left cannot be read: {fault}"
    if error is None:
        return None
    text = str(error)
    if isinstance(error, load_submitit().core.utils.FailedJobError):
        # between two rules stands the traceback, and its last line says what it was
        said = text.split("-" * 22)[1].strip().splitlines()[-1].removeprefix("osm.errors.")
    else:
        said = "its process ended without a result"
    return f"{said} (log: {job.paths.stderr})"


class CellsLostError(OSMError):
    """Some cells did not end well; the others did, and are kept."""
