"""Killed runs in short; ``make kills`` kills more, training and the benchmark among them."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from tqdm import tqdm

from tests.kills.campaign import WORKS, Work, digest, disturb, start
from vreloc_pyg.files import write_text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["extraction", "library", "feature-cache", "pca", "proposals"])
def test_what_was_killed_is_as_if_it_had_not_been(name):
    done, problem, _ = disturb(WORKS[name], kills=4, seed=7)
    assert problem == ""
    assert done >= 4


def written(write):
    """A work of twenty files, each written in two halves with a pause between."""

    def run(folder):
        for number in range(20):
            if not (folder / str(number)).exists():
                write(folder / str(number), "half ", "whole")

    return Work(
        lambda folder: None, run, lambda folder: digest([(folder / str(i)).read_text() for i in range(20)])
    )


def torn(path, one, other):
    with path.open("w") as file:
        file.write(one)
        file.flush()
        time.sleep(0.01)
        file.write(other)


def whole(path, one, other):
    time.sleep(0.01)
    write_text(path, one + other)


def test_a_planted_loss_is_found():
    assert "an undisturbed run" in disturb(written(torn), kills=20, seed=0)[1]
    assert disturb(written(whole), kills=5, seed=0)[1] == ""


def test_who_is_killed_while_it_draws_a_bar_holds_up_nobody(tmp_path):
    def drawing(folder):
        with tqdm.get_lock():
            (folder / "drawing").touch()
            time.sleep(60)

    ours = tqdm.get_lock().mp_lock
    process = start(drawing, tmp_path)
    while not (tmp_path / "drawing").exists():
        time.sleep(0.01)
    process.kill()
    process.join()
    assert ours.acquire(timeout=1)
    ours.release()


@pytest.fixture
def full(tmp_path):
    """A file system of 1 MB, nearly full."""
    if os.geteuid() != 0:
        pytest.skip("only root may make a small file system")
    place = tmp_path / "small"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], capture_output=True)
    if made.returncode:
        pytest.skip(f"a small file system cannot be made here: {made.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_loses_nothing(full: Path):
    write_text(full / "kept.txt", "before")
    (full / "ballast").write_bytes(bytes(900_000))
    with pytest.raises(OSError, match=r"No space left.*kept\.txt"):
        write_text(full / "kept.txt", "x" * 500_000)
    assert (full / "kept.txt").read_text() == "before"
    assert sorted(one.name for one in full.iterdir()) == ["ballast", "kept.txt"]
    (full / "ballast").unlink()
    write_text(full / "kept.txt", "x" * 500_000)
