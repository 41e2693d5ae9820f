"""Folders in the layout of Hugging Face: whole or absent, verified, and loaded from disk or from the hub's cache."""

import json
import os
import shutil
import stat
import subprocess
import sys

import pytest

import osm.transfer.hub as module
from osm.errors import ConfigError, EnvironmentProblem, WeightsError
from osm.files import read_json, sha256_file
from osm.transfer.certificate import backbone_digests
from osm.transfer.export import export_tensors, read_export
from osm.transfer.hub import CONFIG, FILES, MODEL, README, load_pretrained, write_hub_folder


@pytest.fixture(scope="module")
def hub_folder(tmp_path_factory, export_file):
    return write_hub_folder(tmp_path_factory.mktemp("hub") / "osm-r18", export_file, licence="cc-by-4.0")


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_the_folder_holds_three_files_that_agree(hub_folder, export_file):
    assert names(hub_folder) == sorted(FILES)
    assert names(hub_folder.parent) == ["osm-r18"]
    config = read_json(hub_folder / CONFIG)
    assert config["model_sha256"] == sha256_file(hub_folder / MODEL) == sha256_file(export_file)
    assert config["architecture"] == "resnet18"
    assert config["license"] == "cc-by-4.0"
    assert config["model_sha256"] in (hub_folder / README).read_text()
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(hub_folder.stat().st_mode) == 0o777 & ~umask


def test_what_is_loaded_is_what_was_exported(hub_folder, export_file):
    loaded = load_pretrained(hub_folder)
    tensors, card = read_export(export_file)
    digests = backbone_digests(loaded.backbone)
    assert loaded.card == card
    assert loaded.certificate.complete
    assert loaded.certificate.backbone_sha256 == digests
    assert loaded.backbone.conv1.weight.equal(tensors["conv1.weight"])
    assert not loaded.backbone.training
    assert len(load_pretrained(str(hub_folder), levels=(0, 3)).backbone.out_indices) == 2


def test_nothing_is_overwritten_unless_asked_and_never_what_is_not_ours(hub_folder, export_file, tmp_path):
    path = tmp_path / "mine"
    shutil.copytree(hub_folder, path)
    with pytest.raises(ConfigError, match=r"mine: found a folder; .*--overwrite"):
        write_hub_folder(path, export_file)
    write_hub_folder(path, export_file, overwrite=True)
    assert read_json(path / CONFIG)["license"] is None
    (path / ".git").mkdir()
    with pytest.raises(ConfigError, match=r"a folder that holds \.git"):
        write_hub_folder(path, export_file, overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="found a file"):
        write_hub_folder(tmp_path / "file", export_file, overwrite=True)


def test_a_failure_leaves_the_earlier_folder_and_nothing_else(hub_folder, export_file, tmp_path, monkeypatch):
    path = tmp_path / "mine"
    shutil.copytree(hub_folder, path)
    before = {name: (path / name).read_bytes() for name in FILES}

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(module, "write_sealed", full)
    with pytest.raises(OSError, match="no space"):
        write_hub_folder(path, export_file, overwrite=True)
    with pytest.raises(OSError, match="no space"):
        write_hub_folder(tmp_path / "new", export_file)
    assert names(tmp_path) == ["mine"]
    assert {name: (path / name).read_bytes() for name in FILES} == before


def test_what_is_no_single_backbone_is_refused(export_file, full_card, tmp_path):
    from dataclasses import replace

    tensors, _ = read_export(export_file)
    export_tensors(tmp_path / "both.safetensors", tensors, replace(full_card, matching={"dimensions": 20}))
    with pytest.raises(WeightsError, match="both branches"):
        write_hub_folder(tmp_path / "out", tmp_path / "both.safetensors")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / MODEL).unlink(), "no model.safetensors"),
        (lambda folder: flip(folder / MODEL, -5), r"model\.safetensors: found a file with SHA-256"),
        (lambda folder: flip(folder / CONFIG, 40), r"config\.json"),
        (lambda folder: (folder / CONFIG).write_text("{}"), r"config\.json: found no SHA-256"),
        (lambda folder: (folder / CONFIG).write_text("{"), r"config\.json: found broken JSON"),
        (lambda folder: resealed(folder, format=2), "format 2"),
    ],
)
def test_a_damaged_folder_is_refused(hub_folder, tmp_path, damage, said):
    folder = tmp_path / "copy"
    shutil.copytree(hub_folder, folder)
    damage(folder)
    with pytest.raises(WeightsError, match=said):
        load_pretrained(folder)


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 2
    path.write_bytes(content)


def resealed(folder, **changed):
    from osm.files import write_sealed

    write_sealed(folder / CONFIG, {**json.loads((folder / CONFIG).read_text()), **changed})


@pytest.fixture
def cache(hub_folder, tmp_path):
    """The hub's cache as a download leaves it, for two revisions of a repository."""
    root = tmp_path / "cache" / "models--people--osm-r18"
    commit = "0123456789abcdef0123456789abcdef01234567"
    for name in (CONFIG, MODEL):
        target = root / "snapshots" / commit / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(hub_folder / name, target)
    for revision in ("main", "v1"):
        (root / "refs").mkdir(exist_ok=True)
        (root / "refs" / revision).write_text(commit)
    return tmp_path / "cache"


@pytest.fixture
def offline(monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("revision", [None, "v1", "0123456789abcdef0123456789abcdef01234567"])
def test_a_repository_is_read_from_the_cache(cache, offline, hub_folder, revision):
    loaded = load_pretrained("people/osm-r18", revision=revision, cache_dir=cache)
    assert backbone_digests(loaded.backbone) == backbone_digests(load_pretrained(hub_folder).backbone)
    assert str(loaded.path).startswith(str(cache))


@pytest.mark.parametrize(("name", "revision"), [("people/other", None), ("people/osm-r18", "v2")])
def test_offline_is_one_line(cache, offline, name, revision):
    with pytest.raises(WeightsError, match=rf"{name}: found no such folder, and nothing from the hub") as caught:
        load_pretrained(name, revision=revision, cache_dir=cache)
    assert "\n" not in caught.value.line


@pytest.mark.parametrize("name", ["no/such/folder", "nofolder", "a b/c"])
def test_a_name_that_can_be_neither_is_refused(name):
    with pytest.raises(ConfigError, match="no such folder; expected a folder, or ORGANISATION/NAME"):
        load_pretrained(name)


def test_without_huggingface_hub_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(EnvironmentProblem, match=r"pip install 'osm-ssd\[hub\]'"):
        load_pretrained("people/osm-r18")


def test_importing_it_needs_no_huggingface_hub():
    code = "import sys, osm.transfer.hub; print('huggingface_hub' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
