"""The short form of the campaign: faults that were found once, and some new inputs for every door."""

import os
import time

import numpy as np
import pytest

from tests.fuzz import campaign
from tests.fuzz.campaign import Door, judge, run_door
from tests.fuzz.doors import DOORS, REFERENCE
from tests.fuzz.found import found
from vreloc_pyg.errors import DataError
from vreloc_pyg.proposals.cache import CachedProposals
from vreloc_pyg.proposals.sliding_window import SlidingWindows

BY_NAME = {door.name: door for door in DOORS}
FOUND = found()


@pytest.mark.parametrize(
    ("door", "files"), [(door, files) for door, _, files in FOUND], ids=[f"{a}: {b}" for a, b, _ in FOUND]
)
def test_what_was_found_once(tmp_path, door, files):
    if door == "proposal-cache":  # its files have names that are known once they are made
        CachedProposals(SlidingWindows(), tmp_path / "made").propose(REFERENCE)
        [made] = (tmp_path / "made").iterdir()
        files = {made.name: files["*.npy"]}
    kind, text = judge(BY_NAME[door], files, tmp_path / "input")
    assert kind in ("ok", "refused"), text


@pytest.mark.parametrize(
    "name", [door.name for door in DOORS if door.name not in ("resuming", "localizer", "hdf5")]
)
def test_every_door(name):
    # Fewer where a door is slow; another seed each day would find more, and fail for no change.
    counts, faults = run_door(BY_NAME[name], 12 if name == "videos" else 25, seed=99)
    assert faults == []
    assert counts["ok"] > 0  # seeds are valid
    assert counts["ok"] + counts["refused"] == sum(counts.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resuming", "localizer", "hdf5"])
def test_slow_doors(name):
    counts, faults = run_door(BY_NAME[name], 30, seed=99)
    assert faults == []
    assert counts["ok"] > 0


def planted(what):
    """A door with a fault behind an ``x``."""

    def read(folder):
        if b"x" in (folder / "a").read_bytes():
            what()
        raise DataError("refused")

    return Door("planted", lambda folder: [{"a": b"a"}, {"a": b"x"}, {"a": b"b"}], read)


def loop():
    while True:
        pass


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        (lambda: {}["a"], "KeyError"),
        (loop, "hang"),
        (lambda: time.sleep(99), "hang"),
        (lambda: os.kill(os.getpid(), 11), "crash"),
        (lambda: np.zeros(600 * 2**20, np.uint8), "allocation"),
        (lambda: np.zeros(2**40, np.uint8), "MemoryError"),
    ],
)
def test_planted_faults_are_found(monkeypatch, what, kind):
    monkeypatch.setattr(campaign, "CPU_S", 0.3)
    monkeypatch.setattr(campaign, "WALL_S", 0.3 if "sleep" in what.__code__.co_names else 20)
    counts, faults = run_door(planted(what), 3)
    assert [(fault.number, fault.kind.removeprefix("_Array")) for fault in faults] == [(1, kind)]
    assert counts == {"refused": 2, "fault": 1}  # and the inputs after it are judged all the same
