"""Installs as users make them, each in a virtual environment that is removed afterwards.

``python .ci/installs.py wheel`` builds sdist and wheel, looks for what they lack, and tries the wheel far
from the checkout. ``python .ci/installs.py pythons`` installs everything on each Python, and with the oldest
and the newest releases that setup.cfg allows, and runs the quick tests there; what cannot be had is skipped
with its reason. Only the standard library is needed.
"""

from __future__ import annotations

import argparse
import configparser
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
#: Extra environments: a Python, and which releases of our requirements.
RELEASES = (("3.11", "oldest"), ("3.11", "newest"))
SHOWN = ("torch", "torch-geometric", "numpy", "pandas", "lightning", "av")
#: What an sdist holds beside the package: what is needed to build, test and read it.
BESIDE = (
    "constraints.txt",
    "setup.cfg",
    "pyproject.toml",
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "Makefile",
)
FOLDERS = ("configs", "docs", "examples", "benchmarks", "tests")

FORWARD = """
import torch
from vreloc_pyg import MGFFNet, pair_data
graph = pair_data(torch.randn(12, 64), torch.randn(20, 64))
score, offsets = MGFFNet(in_channels=64, hidden_channels=32).eval()(graph)
assert torch.isfinite(score).all() and offsets.shape == (1, 2)
"""


class Failed(Exception):
    """A command that did not end well, with the end of what it said."""


def call(*words: str | Path, folder: Path = ROOT) -> str:
    """What a command prints.

    Raises:
        Failed: if its exit code is not 0.
    """
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment = {**quiet, "OMP_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        [*map(str, words)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line and "WARNING" not in line]
        # pytest names the tests that failed; of everything else, the end says why.
        tests = [line for line in said[:-12] if line.startswith(("FAILED ", "ERROR "))]
        raise Failed("\n".join(tests[:100] + said[-12:]))
    return done.stdout


def interpreter(version: str) -> Path | None:
    """A Python of this version: on the PATH, or one that pyenv keeps."""
    found = shutil.which(f"python{version}")
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for one in ([Path(found)] if found else []) + kept:
        try:
            if call(one, "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])").strip() == version:
                return one
        except (Failed, OSError):
            continue
    return None


def make_venv(python: str | Path, folder: Path) -> Path:
    """A virtual environment; returns its Python."""
    call(python, "-m", "venv", folder)
    return folder / "bin/python"


def build(folder: Path) -> tuple[Path, Path]:
    """The sdist, and the wheel that is built from it."""
    python = make_venv(sys.executable, folder / "builder")
    call(python, "-m", "pip", "install", "--quiet", "build")
    call(python, "-m", "build", "--outdir", folder / "dist")
    shutil.rmtree(folder / "builder")
    (sdist,), (wheel,) = (folder / "dist").glob("*.tar.gz"), (folder / "dist").glob("*.whl")
    return sdist, wheel


def lacking(sdist: Path, wheel: Path) -> list[str]:
    """Files of the checkout that an archive should have and has not."""
    tracked = call("git", "ls-files").splitlines()
    package = [name for name in tracked if name.startswith("vreloc_pyg/")]
    others = [name for name in tracked if name in BESIDE or name.split("/")[0] in FOLDERS]
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    in_wheel = set(zipfile.ZipFile(wheel).namelist())
    return [f"sdist: {name}" for name in package + others if name not in in_sdist] + [
        f"wheel: {name}" for name in package if name not in in_wheel
    ]


def check_wheel(place: Path) -> None:
    """Build, look, install without constraints, and try what a user tries first.

    Raises:
        Failed: at the first thing that is wrong.
    """
    sdist, wheel = build(place)
    print(
        f"{sdist.name} {sdist.stat().st_size / 1e6:.1f} MB, {wheel.name} {wheel.stat().st_size / 1e6:.2f} MB"
    )
    if missing := lacking(sdist, wheel):
        raise Failed("Lacking: " + ", ".join(missing))
    python = make_venv(sys.executable, place / "venv")
    pip = (python, "-m", "pip", "install", "--quiet")
    call(*pip, "torch", "-c", ROOT / "constraints.txt")  # a CPU build where there is one: no gigabytes
    call(*pip, wheel)
    vreloc, away = python.parent / "vreloc", place / "away"
    away.mkdir()
    run = ["--training.epochs=1", "--training.steps_per_epoch=2", "--training.validation_pairs=2"]
    for words in (
        (vreloc, "--help"),
        (vreloc, "systems"),
        (python, "-c", FORWARD),
        (vreloc, "train", "--data", "synthetic", "--system", "mgffnet", *run, "--output", "run"),
        (vreloc, "evaluate", "--checkpoint", "run/model", "--data", "synthetic", "--output", "run/test"),
    ):
        call(*words, folder=away)
        print(
            "works without any extra:",
            Path(words[0]).name,
            *words[1:3] if words[0] == vreloc else ["MGFFNet"],
        )
    call(*pip, f"{wheel}[demo]")
    call(vreloc, "demo", "--epochs", "1", "--pictures", "1", "--output", "demo", folder=away)
    if not (away / "demo/timelines/00.png").is_file():
        raise Failed("vreloc demo drew no timeline")
    print("works with [demo]: vreloc demo")


def oldest() -> list[str]:
    """Requirements at the first releases that setup.cfg allows, such as ``torch==2.4.*``."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"].split()
    return [line.replace(">=", "==") + ("" if line.endswith(".*") else ".*") for line in lines]


def check_python(
    version: str, releases: str, wheel: Path, place: Path, tests: Sequence[str], keep: bool = False
) -> str:
    """One row: what was installed and how the tests went, or why there is nothing to tell."""
    name = f"Python {version}, {releases}"
    python = interpreter(version)
    if python is None:
        return f"{name}: skipped, no such interpreter here"
    began, folder = time.monotonic(), place / f"{version}-{releases}"
    try:
        own = make_venv(python, folder)
        pip = (own, "-m", "pip", "install", "--quiet", "--progress-bar", "off")
        pins = ("-c", str(ROOT / "constraints.txt")) if releases == "constraints" else ()
        first = oldest() if releases == "oldest" else ["torch"]
        try:
            call(*pip, *first, *pins)
            # The tests need not be as old as what they test.
            call(*pip, f"{wheel}[demo,test]", *(first if releases == "oldest" else ()), *pins)
        except Failed as failure:
            return f"{name}: skipped, cannot be installed: {str(failure).splitlines()[-1][:300]}"
        listed = {
            one["name"]: one["version"] for one in json.loads(call(own, "-m", "pip", "list", "--format=json"))
        }
        versions = ", ".join(f"{one} {listed[one]}" for one in SHOWN if one in listed)
        call(own, "-c", "import vreloc_pyg.cli, vreloc_pyg.localization; vreloc_pyg.localization.Localizer")
        try:
            said = call(own, "-m", "pytest", "-q", "-n0", "-m", "not slow and not very_slow", *tests)
            said = said.splitlines()[-1]
        except Failed as failure:
            said = f"FAILED\n{failure}"
        minutes = (time.monotonic() - began) / 60
        return f"{name} ({versions}), {minutes:.0f} min: {said}"
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Run what was asked for; 1 if it failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["wheel", "pythons"])
    parser.add_argument("--only", nargs="*", help="such as 3.12 or oldest")
    parser.add_argument("--tests", nargs="*", default=["tests"])
    parser.add_argument("--keep", type=Path, help="folder for environments that stay, to run tests in again")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vreloc-installs-") as name:
        place = Path(name)
        if asked.what == "wheel":
            try:
                check_wheel(place)
            except Failed as failure:
                print(failure, file=sys.stderr)
                return 1
            return 0
        _, wheel = build(place)
        failed = False
        for version, releases in [*((one, "constraints") for one in PYTHONS), *RELEASES]:
            if asked.only is None or {version, releases} & set(asked.only):
                kept = asked.keep or place
                row = check_python(version, releases, wheel, kept, asked.tests, keep=kept != place)
                failed |= "FAILED" in row
                print(row, flush=True)
        return int(failed)


if __name__ == "__main__":
    sys.exit(main())
