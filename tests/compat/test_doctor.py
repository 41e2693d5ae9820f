"""Each known misfit as a constructed snapshot, the remedy it must name, and the real environment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from osm.compat.doctor import Finding, diagnose
from osm.compat.snapshot import MODULES, Snapshot, take_snapshot

SOUND = Snapshot(
    python="3.11.7",
    system="Linux x86_64",
    packages={
        "osm-ssd": "0.1.0",
        "torch": "2.15.0",
        "torchvision": "0.29.2",
        "onedl-mmengine": "0.10.12",
        "onedl-mmcv": "2.3.6",
        "onedl-mmdetection": "3.5.1",
        "pycocotools": "2.0.11",
        "numpy": "2.2.6",
        "opencv-python": "4.12.0.88",
        "opencv-python-headless": "4.12.0.88",
        "pillow": "13.0.0",
    },
    requirements=(
        "torch>=2.6",
        "torchvision>=0.21",
        "onedl-mmengine>=0.10.12",
        "onedl-mmcv>=2.3.6",
        "onedl-mmdetection>=3.5.1",
        "pycocotools>=2.0.11",
        "numpy>=2",
        "pillow",
        'ultralytics>=8.4; extra == "ultralytics"',
    ),
    torchvision_requires=("numpy", "torch>=2.14.0", "pillow!=8.3.*,>=5.3.0", 'scipy; extra == "scipy"'),
    operators="torchvision",
)


def having(**versions: str | None) -> Snapshot:
    packages = dict(SOUND.packages)
    for name, version in versions.items():
        packages.pop(name.replace("_", "-"), None)
        if version is not None:
            packages[name.replace("_", "-")] = version
    return replace(SOUND, packages=packages)


def failing(**errors: str) -> Snapshot:
    return replace(SOUND, import_errors={name.replace("__", "."): text for name, text in errors.items()})


def only(snapshot: Snapshot) -> Finding:
    findings = diagnose(snapshot)
    assert len(findings) == 1, findings
    return findings[0]


def test_a_sound_installation_has_no_findings_both_opencvs_included():
    assert diagnose(SOUND) == []


@pytest.mark.parametrize(
    ("fork", "module", "upstream"),
    [
        ("onedl-mmengine", "mmengine", "mmengine"),
        ("onedl-mmcv", "mmcv", "mmcv"),
        ("onedl-mmcv", "mmcv", "mmcv-full"),
        ("onedl-mmcv", "mmcv", "mmcv-lite"),
        ("onedl-mmdetection", "mmdet", "mmdet"),
    ],
)
def test_upstream_beside_its_fork_is_removed_and_the_fork_put_back(fork, module, upstream):
    finding = only(having(**{upstream.replace("-", "_"): "2.1.0"}))
    assert finding.broken
    assert finding.mend == f"pip uninstall -y {upstream} && pip install --force-reinstall --no-deps {fork}"
    assert f"{upstream} 2.1.0 beside {fork}" in finding.found
    assert f"{module}/" in finding.expected


def test_upstream_in_place_of_its_fork():
    finding = only(having(mmcv="2.1.0", onedl_mmcv=None))
    assert finding.broken
    assert "in place of onedl-mmcv" in finding.found
    assert finding.mend.endswith("--no-deps onedl-mmcv")


def test_openmim_is_a_risk_and_breaks_nothing():
    finding = only(having(openmim="0.3.9"))
    assert not finding.broken
    assert finding.mend == "pip uninstall -y openmim"


@pytest.mark.parametrize("version", ["2.0.8", "2.0.9", "2.0.10"])
def test_old_pycocotools(version):
    finding = only(having(pycocotools=version))
    assert finding.broken
    assert finding.found == f"version {version}"
    assert ("KeyError" in finding.expected) == (version != "2.0.8")
    assert finding.mend == "pip install 'pycocotools>=2.0.11'"


def test_numpy_1():
    finding = only(having(numpy="1.26.4"))
    assert finding.broken
    assert finding.mend == "pip install 'numpy>=2'"


def test_missing_package():
    finding = only(having(pillow=None))
    assert finding.found == "no such package"
    assert finding.mend == "pip install 'pillow'"


def test_a_prerelease_or_local_build_of_a_new_enough_version_fits():
    assert diagnose(having(torch="2.16.0.dev20270101+cu132")) == []


def test_torchvision_made_for_another_torch():
    finding = only(having(torch="2.13.0+cpu"))
    assert finding.broken
    assert finding.where == "torchvision"
    assert finding.found == "torchvision 0.29.2 beside torch 2.13.0+cpu"
    assert finding.mend == "pip uninstall -y torch torchvision && pip install torch torchvision"


@pytest.mark.parametrize("module", ["torchvision", "torchvision__ops"])
def test_torchvision_without_operators_is_named_once_and_not_as_a_fault_of_mmcv(module):
    error = "RuntimeError: operator torchvision::nms does not exist"
    snapshot = failing(**{module: error, "mmcv._ext": "EnvironmentProblem: x", "mmcv.ops": "ModuleNotFoundError: y"})
    finding = only(replace(snapshot, operators=None))
    assert finding.broken
    assert error in finding.found
    assert "torch and torchvision from the same source" in finding.expected
    assert finding.mend.endswith("pip install torch torchvision")


@pytest.mark.parametrize(
    "message",
    [
        "ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96, got 88",
        "ImportError: numpy.core.multiarray failed to import",
        "AttributeError: _ARRAY_API not found",
    ],
)
def test_a_package_compiled_for_another_numpy_is_reinstalled_past_the_cache(message):
    finding = only(failing(pycocotools__mask=message))
    assert finding.broken
    assert "another numpy than 2.2.6" in finding.found
    assert finding.mend == "pip install --force-reinstall --no-deps --no-cache-dir pycocotools==2.0.11"


def test_an_opencv_that_wants_a_desktop():
    missing = "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"
    finding = only(failing(cv2=missing, mmengine=missing, mmcv=missing))
    assert finding.mend == "pip install --force-reinstall --no-deps opencv-python-headless==4.12.0.88"


def test_a_missing_dependency_of_a_dependency_is_installed_and_nothing_replaced():
    finding = only(failing(mmdet__models="ModuleNotFoundError: No module named 'terminaltables'"))
    assert finding.mend == "pip install onedl-mmdetection==3.5.1"


def test_the_remedy_names_the_pip_of_this_python():
    snapshot = replace(having(numpy="1.26.4"), pip=".venv/bin/python -m pip")
    assert only(snapshot).mend == ".venv/bin/python -m pip install 'numpy>=2'"


def test_the_environment_of_these_tests_is_sound():
    snapshot = take_snapshot()
    assert [finding.line for finding in diagnose(snapshot) if finding.broken] == []
    assert set(snapshot.import_errors) <= set(MODULES)
    assert snapshot.operators in ("compiled", "torchvision")
    assert snapshot.cpu_cores >= 1
    assert snapshot.precision in ("bfloat16", "float32")
    assert snapshot.packages["onedl-mmcv"]
