"""A real mmengine Runner: two epochs under bf16 on the CPU, a checkpoint, and on from it."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.fileio import get_file_backend
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner, load_checkpoint

from osm.compat.amp import AutocastOptimWrapper
from osm.compat.checkpoints import WHOLE_FILES, load_from_local, trust_mmengine_checkpoints
from osm.errors import ConfigError, WeightsError


class Toy(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)
        self.seen: list[torch.dtype] = []

    def forward(self, inputs, labels=None, mode="tensor"):
        outputs = self.layer(inputs)
        self.seen.append(outputs.dtype)
        return {"loss": (outputs.float() - labels).square().mean()} if mode == "loss" else outputs


class Interrupted(Exception):
    pass


class InterruptThirdEpoch(Hook):
    def before_train_epoch(self, runner):
        if runner.epoch == 2:
            raise Interrupted


def runner(
    work_dir: Path, epochs: int, *, resume: bool = False, dtype: str = "bfloat16", hooks: tuple[Hook, ...] = ()
) -> Runner:
    torch.manual_seed(0)
    inputs = torch.randn(16, 4)
    labels = inputs.sum(1, keepdim=True)
    return Runner(
        Toy(),
        str(work_dir),
        train_dataloader={
            "batch_size": 4,
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "collate_fn": {"type": "default_collate"},
            "dataset": [{"inputs": a, "labels": b} for a, b in zip(inputs, labels, strict=True)],
        },
        train_cfg={"by_epoch": True, "max_epochs": epochs},
        optim_wrapper={
            "type": "AutocastOptimWrapper",
            "dtype": dtype,
            "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9},
            "clip_grad": {"max_norm": 1.0},
        },
        param_scheduler={"type": "MultiStepLR", "milestones": [2], "by_epoch": True},
        randomness={"seed": 3},
        default_scope="mmengine",
        experiment_name=f"{work_dir.name}_{epochs}_{resume}",
        resume=resume,
        custom_hooks=list(hooks),
        log_level="ERROR",
    )


def test_a_run_under_bf16_interrupted_after_two_epochs_and_resumed_ends_as_an_uninterrupted_one(tmp_path):
    trust_mmengine_checkpoints()
    first = runner(tmp_path / "parts", 3, hooks=(InterruptThirdEpoch(),))
    with pytest.raises(Interrupted):
        first.train()
    assert set(first.model.seen) == {torch.bfloat16}
    assert first.model.layer.weight.dtype == torch.float32

    resumed = runner(tmp_path / "parts", 3, resume=True)
    resumed.train()
    assert (resumed.epoch, resumed.iter) == (3, 12)

    whole = runner(tmp_path / "whole", 3)
    whole.train()
    saved = [torch.load(tmp_path / name / "epoch_3.pth", weights_only=True) for name in ("parts", "whole")]
    # shuffling is seeded by the epoch, so nothing may differ
    assert torch.equal(saved[0]["state_dict"]["layer.weight"], saved[1]["state_dict"]["layer.weight"])
    assert saved[0]["optimizer"]["param_groups"] == saved[1]["optimizer"]["param_groups"]
    assert torch.equal(
        saved[0]["optimizer"]["state"][0]["momentum_buffer"], saved[1]["optimizer"]["state"][0]["momentum_buffer"]
    )
    log = saved[0]["message_hub"]["log_scalars"]["train/loss"]
    assert len(log.data[0]) == 12
    assert log.mean(4) == pytest.approx(np.mean(log.data[0][-4:]))


def test_float32_computes_in_float32(tmp_path):
    plain = runner(tmp_path, 1, dtype="float32")
    plain.train()
    assert set(plain.model.seen) == {torch.float32}


def test_gradients_are_accumulated_as_by_mmengines_own_wrapper():
    parameter = torch.nn.Linear(2, 1, bias=False)
    start = parameter.weight.detach().clone()
    wrapper = AutocastOptimWrapper(optimizer=torch.optim.SGD(parameter.parameters(), lr=1.0), accumulative_counts=2)
    inputs = torch.tensor([[1.0, 2.0]])
    for _ in range(2):
        with wrapper.optim_context(parameter):
            loss = parameter(inputs).sum()
        wrapper.update_params(loss)
    torch.testing.assert_close(start - parameter.weight.detach(), inputs)


@pytest.mark.parametrize("dtype", ["float16", "bf16"])
def test_other_dtypes_are_refused_with_what_is_allowed(dtype):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    with pytest.raises(ConfigError, match=f"found '{dtype}'; expected auto or bfloat16 or float32"):
        AutocastOptimWrapper(dtype=dtype, optimizer=optimizer)


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_checkpoint_that_would_run_code_is_refused_and_runs_none(tmp_path):
    trust_mmengine_checkpoints()
    trace = tmp_path / "ran"
    torch.save({"state_dict": {}, "meta": Evil(trace)}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match=r"evil\.pth.*without running code"):
        load_checkpoint(torch.nn.Linear(1, 1), str(tmp_path / "evil.pth"))
    assert not trace.exists()


class Borrowed:
    def __reduce__(self):
        return (getattr, (np.ndarray, "tofile"))


def test_getattr_reaches_nothing_but_the_log(tmp_path):
    trust_mmengine_checkpoints()
    torch.save({"x": Borrowed()}, tmp_path / "borrowed.pth")
    with pytest.raises(pickle.UnpicklingError, match="tofile"):
        torch.load(tmp_path / "borrowed.pth", weights_only=True)


def test_missing_and_truncated_files_say_so(tmp_path):
    with pytest.raises(WeightsError, match=r"nowhere\.pth: found no such file"):
        load_from_local(str(tmp_path / "nowhere.pth"))
    whole = tmp_path / "whole.pth"
    torch.save({"state_dict": {"w": torch.zeros(100)}}, whole)
    for size in (0, 40, whole.stat().st_size // 2):
        cut = tmp_path / "cut.pth"
        cut.write_bytes(whole.read_bytes()[:size])
        with pytest.raises(WeightsError, match=r"cut\.pth: found"):
            load_from_local(str(cut))


def test_a_checkpoint_is_whole_or_absent(tmp_path, monkeypatch):
    backend = get_file_backend(str(tmp_path), backend_args={"backend": WHOLE_FILES})
    path = tmp_path / "new" / "epoch_1.pth"
    backend.put(b"first", str(path))

    def full(_):
        raise OSError("no space left")

    monkeypatch.setattr("osm.compat.checkpoints.os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        backend.put(b"second, and longer", path)
    assert path.read_bytes() == b"first"
    assert [file.name for file in path.parent.iterdir()] == ["epoch_1.pth"]


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("kept", [0, 1000])
def test_what_a_kill_left_of_a_checkpoint_is_called_broken(tmp_path, kept, mmap):
    path = tmp_path / "epoch_1.pth"
    torch.save({"state_dict": {"a": torch.zeros(1000)}}, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(WeightsError, match="a broken file"):
        load_from_local(str(path), map_location="cpu", mmap=mmap)
