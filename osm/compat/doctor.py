"""What is wrong with an installation, and the command that mends it: pure checks on a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from osm.compat.snapshot import Snapshot, take_snapshot

#: Each maintained fork, its import name, and the upstream distributions that own the same folder.
FORKS = {
    "onedl-mmengine": ("mmengine", ("mmengine", "mmengine-lite")),
    "onedl-mmcv": ("mmcv", ("mmcv", "mmcv-full", "mmcv-lite")),
    "onedl-mmdetection": ("mmdet", ("mmdet", "mmdetection")),
}

#: Distribution that brings a module, where the names differ.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "mmengine": "onedl-mmengine",
    "mmcv": "onedl-mmcv",
    "mmdet": "onedl-mmdetection",
}

#: What each module cannot do without: where that is broken, its own error says nothing new.
NEEDS = {
    "scipy": ("numpy",),
    "torchvision": ("torch",),
    "mmengine": ("numpy", "torch", "cv2"),
    "mmcv": ("numpy", "torch", "torchvision", "cv2", "mmengine"),
    "mmdet": ("numpy", "torch", "torchvision", "cv2", "mmengine", "mmcv", "pycocotools", "scipy"),
}

#: How numpy and what is compiled for another one put it.
_ABI = (
    "numpy.dtype size changed",
    "compiled using NumPy",
    "_ARRAY_API",
    "numpy.core.multiarray failed",
    "numpy.core.umath failed",
)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        broken: Whether something cannot work; otherwise it is a risk.
        where: The package at fault.
        found: What was found.
        expected: What was expected instead.
        mend: The command that mends it.
    """

    broken: bool
    where: str
    found: str
    expected: str
    mend: str

    @property
    def line(self) -> str:
        """The finding on one line, worded as an ``OSMError``."""
        return f"{self.where}: found {self.found}; expected {self.expected}; {self.mend}"


def diagnose(snapshot: Snapshot | None = None) -> list[Finding]:
    """Everything that is wrong, causes before what follows from them.

    Args:
        snapshot: What is installed; looked up on this machine when not given.
    """
    snapshot = snapshot or take_snapshot()
    findings: list[Finding] = []
    blamed: set[str] = set()
    for check in (_forks, _requirements, _torch_pair, _imports):
        for finding in check(snapshot):
            # what a package fails at after its cause is named would only repeat it
            if finding.where not in blamed:
                findings.append(finding)
                blamed.add(finding.where)
    return findings


def _forks(snapshot: Snapshot) -> Iterator[Finding]:
    installed, pip = snapshot.packages, snapshot.pip
    for fork, (module, upstream) in FORKS.items():
        beside = [name for name in upstream if name in installed]
        if beside:
            # removing upstream takes the files it shares with the fork along
            yield Finding(
                True,
                fork,
                found=" and ".join(f"{name} {installed[name]}" for name in beside)
                + (f" beside {fork} {installed[fork]}" if fork in installed else f" in place of {fork}"),
                expected=f"{fork} alone: both own the folder {module}/",
                mend=f"{pip} uninstall -y {' '.join(beside)} && {pip} install --force-reinstall --no-deps {fork}",
            )
    if "openmim" in installed:
        yield Finding(
            False,
            "openmim",
            found=f"openmim {installed['openmim']}",
            expected="none: `mim install` puts upstream mmengine, mmcv and mmdet over the forks",
            mend=f"{pip} uninstall -y openmim",
        )


def _requirements(snapshot: Snapshot) -> Iterator[Finding]:
    from packaging.requirements import Requirement

    if not snapshot.requirements:
        yield Finding(
            True,
            "osm-ssd",
            found="no installed package of that name",
            expected="osm-ssd",
            mend=f"{snapshot.pip} install -e .",
        )
    for requirement in map(Requirement, snapshot.requirements):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        found = snapshot.packages.get(requirement.name.lower())
        if found is not None and requirement.specifier.contains(found, prereleases=True):
            continue
        why = ""
        if requirement.name == "pycocotools" and found in ("2.0.9", "2.0.10"):
            why = " (2.0.9 and 2.0.10 raise KeyError: 'info')"
        if requirement.name == "numpy" and found is not None:
            why = " (compiled packages here are built for numpy 2)"
        yield Finding(
            True,
            requirement.name,
            found=f"version {found}" if found else "no such package",
            expected=f"{requirement.name}{requirement.specifier}{why}",
            mend=f"{snapshot.pip} install '{requirement.name}{requirement.specifier}'",
        )


def _torch_pair(snapshot: Snapshot) -> Iterator[Finding]:
    from packaging.requirements import Requirement
    from packaging.version import Version

    mend = f"{snapshot.pip} uninstall -y torch torchvision && {snapshot.pip} install torch torchvision"
    torch, torchvision = snapshot.packages.get("torch"), snapshot.packages.get("torchvision")
    if torch is None or torchvision is None:
        return
    for requirement in map(Requirement, snapshot.torchvision_requires):
        fits = requirement.specifier.contains(Version(torch).public, prereleases=True)
        if requirement.name == "torch" and requirement.marker is None and not fits:
            yield Finding(
                True,
                "torchvision",
                found=f"torchvision {torchvision} beside torch {torch}",
                expected=f"the torch it was built for, torch{requirement.specifier}",
                mend=mend,
            )
    names = ("torchvision", "torchvision.ops")
    broken = [snapshot.import_errors[name] for name in names if name in snapshot.import_errors]
    if broken and "torch" not in snapshot.import_errors:
        yield Finding(
            True,
            "torchvision",
            found=f"torchvision {torchvision} without working operators beside torch {torch} ({broken[0]})",
            expected="torch and torchvision from the same source: a CPU-only torch does not go with a CUDA torchvision",
            mend=mend,
        )


def _imports(snapshot: Snapshot) -> Iterator[Finding]:
    failed = {module.partition(".")[0] for module in snapshot.import_errors}
    for module, message in snapshot.import_errors.items():
        name = module.partition(".")[0]
        if failed.intersection(NEEDS.get(name, ())):
            continue
        distribution = DISTRIBUTIONS.get(name, name)
        found, expected = f"{module} does not import ({message})", "a package that imports"
        options = "--force-reinstall --no-deps "
        if any(sign in message for sign in _ABI):
            found = f"{module} compiled for another numpy than {snapshot.packages.get('numpy', '?')} ({message})"
            expected = "a build for the installed numpy"
            options += "--no-cache-dir "
        elif name == "cv2" and ".so" in message:
            # opencv-python and opencv-python-headless own one folder: the one installed last counts
            found = f"an OpenCV that needs a desktop's libraries ({message})"
            expected = "the OpenCV without windows"
        elif "No module named" in message:
            options = ""  # something that it depends on
        version = snapshot.packages.get(distribution)
        pinned = f"{distribution}=={version}" if version else distribution
        yield Finding(True, distribution, found, expected, mend=f"{snapshot.pip} install {options}{pinned}")
