"""PyTorch files that would run code, or claim more than they have: refused before torch sees them, in little memory."""

import io
import os
import pickle
import struct
import subprocess
import sys
import textwrap
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osm.compat.checkpoints import load_from_local, trust_mmengine_checkpoints
from osm.compat.pickles import check_pickles
from osm.errors import WeightsError


def state():
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    return layer.state_dict()


@pytest.mark.parametrize("zipped", [True, False])
def test_state_dicts_pass_however_they_are_written(tmp_path, zipped):
    weight = torch.nn.Parameter(torch.zeros(4, 3))
    content = {
        "state_dict": state(),
        "transposed": weight.t(),
        "parameter": weight,
        "channels last": torch.zeros(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(1),
        "part of another": weight.detach()[1:, :2],
        "meta": {"epoch": 3, "names": {"a", "b"}, "rates": [0.1], "nothing": None, "bytes": b"x", "size": weight.shape},
        **{str(kind): torch.zeros(3, dtype=kind) for kind in (torch.half, torch.bfloat16, torch.bool, torch.cfloat)},
    }
    path = tmp_path / "w.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    check_pickles(path)
    assert torch.load(path, weights_only=True)["meta"]["epoch"] == 3


class Calls:
    """Pickled as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


EVIL = {
    "open": lambda marker: Calls(open, str(marker), "w"),
    "system": lambda marker: Calls(os.system, f"touch {marker}"),
    "eval": lambda marker: Calls(eval, f"open({str(marker)!r}, 'w')"),
    "path": lambda marker: Calls(Path.touch, marker),
    "getattr": lambda marker: Calls(getattr, Calls, "system"),
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", EVIL)
def test_code_in_a_pickle_is_refused_with_the_reason_and_not_run(tmp_path, kind, zipped):
    marker, path = tmp_path / "marker", tmp_path / "evil.pth"
    torch.save({"w": torch.zeros(2), "x": EVIL[kind](marker)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=r"evil\.pth.*it asks for .*without running code") as caught:
        check_pickles(path)
    assert "\n" not in caught.value.line
    assert not marker.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles_of_any_protocol_run_no_code(tmp_path, protocol):
    marker, path = tmp_path / "marker", tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps({"x": EVIL["open"](marker)}, protocol=protocol))
    with pytest.raises(WeightsError, match=r"evil\.pkl"):
        check_pickles(path)
    assert not marker.exists()


# ------------------------------------------------------------- files that claim more than they have


def edited(path, source, edit):
    """A copy of a zip, its pickle and its other entries passed through ``edit``."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.infolist():
            name, content = edit(entry.filename, old.read(entry))
            new.writestr(name, content)
    return path


def with_pickle(path, content):
    """A file as ``torch.save`` writes it, with a pickle of one's own in place of the one it had."""
    torch.save({"w": torch.zeros(10)}, path.with_suffix(".honest"))
    return edited(
        path, path.with_suffix(".honest"), lambda name, old: (name, content if name.endswith("data.pkl") else old)
    )


class Claiming(pickle.Pickler):
    """Writes the persistent ids of torch.save, with a count of values as wished."""

    def __init__(self, stream, count):
        super().__init__(stream, protocol=2)
        self.count = count

    def persistent_id(self, value):
        if isinstance(value, torch.UntypedStorage):
            return ("storage", torch.FloatStorage, "0", "cpu", self.count)
        return None


class View:
    def __init__(self, shape, stride, offset=0):
        self.of = shape, stride, offset
        self.storage = torch.UntypedStorage(4)

    def __reduce__(self):
        shape, stride, offset = self.of
        return torch._utils._rebuild_tensor_v2, (self.storage, offset, shape, stride, False, OrderedDict())


def claim(path, count, shape, stride, offset=0):
    stream = io.BytesIO()
    Claiming(stream, count).dump({"w": View(shape, stride, offset)})
    return with_pickle(path, stream.getvalue())


def test_an_honest_claim_passes(tmp_path):
    check_pickles(claim(tmp_path / "w.pth", 10, (2, 5), (5, 1)))


@pytest.mark.parametrize(
    ("claimed", "said"),
    [
        ((11, (10,), (1,)), "values 0 of 44 bytes where it has 40"),
        ((10**15, (10,), (1,)), "bytes where it has 40"),
        ((10, (11,), (1,)), "a tensor of shape 11 over 10 values"),
        ((10, (10**9, 10**6), (0, 0)), "a tensor of shape 1000000000x1000000 over 10 values"),
        ((10, (10,), (1,), 1), "over 10 values"),
        ((10, (-1,), (1,)), "a tensor of shape"),
    ],
)
def test_a_claim_of_more_values_than_there_are_is_refused(tmp_path, claimed, said):
    with pytest.raises(WeightsError, match=said):
        check_pickles(claim(tmp_path / "w.pth", *claimed))


def test_the_old_format_cannot_claim_more_either(tmp_path):
    path = tmp_path / "old.pth"
    torch.save({"w": torch.zeros(123457)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    count = struct.pack("<i", 123457)
    assert content.count(count) >= 1
    # the first is in the pickle; the last, before the values, is read by torch with the file
    path.write_bytes(content.replace(count, struct.pack("<i", 2**31 - 1), 1))
    with pytest.raises(WeightsError, match=r"values of 8,589,934,588 bytes where it has"):
        check_pickles(path)


@pytest.mark.parametrize(
    "call",
    [
        Calls(torch.UntypedStorage, 10**13),
        Calls(bytearray, 10**13),
        Calls(torch.zeros, 10**13),
    ],
)
def test_functions_that_take_memory_are_refused(tmp_path, call):
    stream = io.BytesIO()
    pickle.dump({"w": call}, stream, protocol=2)
    with pytest.raises(WeightsError, match=r"w\.pth"):
        check_pickles(with_pickle(tmp_path / "w.pth", stream.getvalue()))


def test_a_zip_bomb_is_refused(tmp_path):
    torch.save({"w": torch.zeros(1000)}, tmp_path / "honest.pth")
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(tmp_path / "honest.pth") as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, b"\0" * 10**8 if "data/" in entry.filename else old.read(entry))
    assert path.stat().st_size < 10**6
    with pytest.raises(WeightsError, match="a compressed entry"):
        check_pickles(path)


def test_a_second_zip_behind_the_first_is_refused(tmp_path):
    torch.save({"w": torch.zeros(10)}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes((tmp_path / "a.pth").read_bytes() + b"trailing")
    with pytest.raises(WeightsError, match="no end of a zip"):
        check_pickles(tmp_path / "b.pth")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_byte_of_the_values_or_of_the_pickle_is_found(tmp_path, data):
    path = tmp_path / "w.pth"
    torch.save({"w": torch.arange(200.0)}, path)
    with zipfile.ZipFile(path) as archive:
        spans = []
        for entry in archive.infolist():
            if entry.filename.endswith(("data.pkl", "data/0")):
                with archive.open(entry) as content:
                    begin = content._orig_compress_start
                spans.append(range(begin, begin + entry.file_size))
    place = data.draw(st.sampled_from([place for span in spans for place in span]))
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    with pytest.raises(WeightsError, match=r"w\.pth"):
        check_pickles(path)


LIMITED = """
    import resource, sys
    import torch
    from osm.compat.checkpoints import load_from_local
    from osm.errors import WeightsError
    from osm.transfer.weights import read_weights
    taken = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    now = int(next(line for line in open('/proc/self/status') if line.startswith('VmSize')).split()[1]) << 10
    resource.setrlimit(resource.RLIMIT_AS, (now + (300 << 20), resource.RLIM_INFINITY))
    before = taken()
    for path in sys.argv[1:]:
        for read in (read_weights, load_from_local):
            if path.endswith('.safetensors') and read is load_from_local:
                continue
            try:
                read(path)
            except WeightsError as error:
                assert path in error.line, error.line
                assert 'emory' not in error.line, error.line
            else:
                raise SystemExit(f'{path} was read')
    assert taken() - before < 100 << 10, (taken() - before)
"""


def test_files_that_claim_terabytes_take_little_memory(tmp_path):
    files = [claim(tmp_path / "zip.pth", 10**12, (10**12,), (1,)), claim(tmp_path / "view.pth", 10, (10**12,), (0,))]
    old = tmp_path / "old.pth"
    torch.save({"w": torch.zeros(123457)}, old, _use_new_zipfile_serialization=False)
    old.write_bytes(old.read_bytes().replace(struct.pack("<i", 123457), struct.pack("<i", 2**31 - 1), 1))
    memo = tmp_path / "memo.pth"  # an index of 2^31, for which the fast unpickler makes room
    memo.write_bytes(b"\x80\x02]r\xff\xff\xff\x7f.")
    files += [old, memo]
    header = b'{"w":{"dtype":"F32","shape":[250000000000000000],"data_offsets":[0,1000000000000000000]}}'
    exabyte = tmp_path / "exabyte.safetensors"
    exabyte.write_bytes(struct.pack("<Q", len(header)) + header)
    long = tmp_path / "long.safetensors"
    long.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    files += [exabyte, long]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED), *map(str, files)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_checkpoint_of_mmengine_may_name_its_log_and_nothing_else(tmp_path):
    trust_mmengine_checkpoints()
    from mmengine.logging import HistoryBuffer

    path = tmp_path / "epoch_1.pth"
    torch.save({"state_dict": state(), "log": HistoryBuffer([1.0], [1])}, path)
    assert load_from_local(str(path))["log"].mean() == 1.0
    with pytest.raises(WeightsError, match="HistoryBuffer"):
        check_pickles(path)
    marker = tmp_path / "marker"
    torch.save({"state_dict": state(), "log": EVIL["open"](marker)}, path)
    with pytest.raises(WeightsError, match=r"it asks for (_io|io)\.open"):
        load_from_local(str(path))
    assert not marker.exists()
