"""A library of small videos: filled, changed, killed, damaged."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.videos import Levels, grey, write_video
from vreloc_pyg.errors import DataError, FeatureError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.files import locked
from vreloc_pyg.library.indexing import index_features, index_videos
from vreloc_pyg.library.inputs import find_videos
from vreloc_pyg.library.library import Library
from vreloc_pyg.library.windows import LIBRARY_WINDOWS, count_windows


def levels(seed, number=60):
    drawn = torch.Generator().manual_seed(seed)
    return [
        grey(int(level)) for level in torch.randint(0, 255, (number // 4,), generator=drawn) for _ in range(4)
    ]


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for seed in range(3):
        write_video(folder / f"{seed}.mp4", levels(seed))
    return folder


@pytest.fixture
def videos(originals, tmp_path):
    return Path(shutil.copytree(originals, tmp_path / "videos"))


class Counting(Levels):
    """Counts the clips that it computes."""

    computed = 0

    def _compute(self, frames):
        Counting.computed += 1
        return super()._compute(frames)


def index(folder, videos=None, remove=(), extractor=Counting):
    Counting.computed = 0
    paths = [] if videos is None else find_videos([videos])
    return index_videos(Library(folder, create=True), paths, extractor, remove, progress=False)


def names(paths):
    return [Path(one).name for one in paths]


def consistent(folder):
    """The catalog, the files and the index tell the same."""
    library = Library(folder)
    entries = library.entries()
    files = {one.name for one in library.features_folder.iterdir()}
    assert files == {one.features for one in entries}
    for entry in entries:
        assert library.read(entry).shape == (entry.num_steps, 16)
    found = library.searchable()
    assert set(found.entries) == {one.number for one in entries}
    total = sum(count_windows(one.num_steps) for one in entries)
    ids, _ = found.index.search(torch.ones(1, found.descriptors.dims), total + 10)
    there = [one for one in ids[0].tolist() if one >= 0]
    assert len(there) == len(set(there)) == total
    return entries


def test_what_is_there_is_not_read_again(videos, tmp_path):
    first = index(tmp_path / "lib", videos)
    assert names(first.added) == ["0.mp4", "1.mp4", "2.mp4"]
    assert Counting.computed > 0
    second = index(tmp_path / "lib", videos)
    assert (len(second.kept), second.added, Counting.computed) == (3, [], 0)
    assert len(consistent(tmp_path / "lib")) == 3


def test_renamed_touched_copied_changed_and_removed(videos, tmp_path):
    index(tmp_path / "lib", videos)
    (videos / "0.mp4").rename(videos / "new name.mp4")
    os.utime(videos / "1.mp4", (1, 1))
    shutil.copy(videos / "1.mp4", videos / "9 copy.mp4")
    write_video(videos / "2.mp4", levels(7))
    found = index(tmp_path / "lib", videos)
    assert {Path(a).name: Path(b).name for a, b in found.renamed.items()} == {"0.mp4": "new name.mp4"}
    assert names(found.kept) == ["1.mp4"]
    assert {Path(a).name: Path(b).name for a, b in found.same.items()} == {"9 copy.mp4": "1.mp4"}
    assert names(found.changed) == ["2.mp4"]
    assert sorted(names(one.name for one in consistent(tmp_path / "lib"))) == [
        "1.mp4",
        "2.mp4",
        "new name.mp4",
    ]
    out = index(tmp_path / "lib", remove=[videos / "1.mp4"])
    assert names(out.removed) == ["1.mp4"]
    assert len(consistent(tmp_path / "lib")) == 2


def test_a_file_moved_over_another(videos, tmp_path):
    index(tmp_path / "lib", videos)
    (videos / "1.mp4").replace(videos / "0.mp4")
    found = index(tmp_path / "lib", videos)
    assert len(found.renamed) == 1
    assert Counting.computed == 0
    assert sorted(names(one.name for one in consistent(tmp_path / "lib"))) == ["0.mp4", "2.mp4"]


def test_a_bad_file_is_left_out_and_a_vanished_one_is_said(videos, tmp_path):
    (videos / "bad.mp4").write_bytes(b"no video")
    found = index(tmp_path / "lib", videos)
    assert names(found.failed) == ["bad.mp4"]
    assert len(consistent(tmp_path / "lib")) == 3
    (videos / "0.mp4").unlink()
    (videos / "bad.mp4").unlink()
    assert names(index(tmp_path / "lib", videos).gone) == ["0.mp4"]


def test_features_and_indexes_that_are_cut_are_made_anew(videos, tmp_path):
    index(tmp_path / "lib", videos)
    library = Library(tmp_path / "lib")
    damaged = library.features_folder / library.entries()[1].features
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(DataError, match=r"damaged or gone.*vreloc index .*1.mp4"):
        library.read(library.entries()[1])
    (vectors,) = (tmp_path / "lib").glob("*.faiss")
    vectors.write_bytes(vectors.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"damaged.*vreloc index --library .* builds it anew"):
        library.searchable()
    index(tmp_path / "lib", videos)
    assert len(consistent(tmp_path / "lib")) == 3


def test_two_writers_and_a_lock_of_a_crash(videos, tmp_path):
    index(tmp_path / "lib", videos / "0.mp4")
    with locked(tmp_path / "lib" / "library"), pytest.raises(DataError, match="Another process is writing"):
        index(tmp_path / "lib", videos)
    (tmp_path / "lib" / ".library.lock").write_text("")
    assert len(index(tmp_path / "lib", videos).added) == 2


def test_another_extractor_version_or_no_library(videos, tmp_path):
    index(tmp_path / "lib", videos / "0.mp4")

    class Other(Levels):
        name = "other"

    with pytest.raises(
        FeatureError, match=r"extractor is other, there levels.*vreloc index VIDEOS --library"
    ):
        index(tmp_path / "lib", videos, extractor=Other)
    library = Library(tmp_path / "lib")
    library.catalog._connection.execute("PRAGMA user_version = 7")
    with pytest.raises(DataError, match=r"in version 7 of its layout.*vreloc index VIDEOS"):
        Library(tmp_path / "lib")
    with pytest.raises(DataError, match="There is no library"):
        Library(tmp_path / "none")


def test_a_damaged_catalog_costs_no_features(videos, tmp_path):
    index(tmp_path / "lib", videos)
    catalog = tmp_path / "lib" / "library.sqlite"
    catalog.write_bytes(b"x" * 5000)
    with pytest.raises(DataError, match=r"catalog .* is damaged .*: remove it and index the same videos"):
        Library(tmp_path / "lib")
    catalog.unlink()
    assert len(index(tmp_path / "lib", videos).added) == 3
    assert Counting.computed == 0
    consistent(tmp_path / "lib")


def test_an_empty_library(tmp_path):
    index(tmp_path / "lib")
    with pytest.raises(DataError, match="is empty: vreloc index VIDEOS"):
        Library(tmp_path / "lib").searchable()


def test_a_full_disk_keeps_what_was_finished(videos, tmp_path, monkeypatch):
    from vreloc_pyg.video import feature_cache

    save, count = feature_cache.save_file, 0

    def full(*arguments):
        nonlocal count
        count += 1
        if count == 2:
            raise OSError(28, "No space left on device")
        save(*arguments)

    monkeypatch.setattr(feature_cache, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        index(tmp_path / "lib", videos)
    monkeypatch.undo()
    found = index(tmp_path / "lib", videos)
    assert (len(found.kept), len(found.added)) == (1, 2)
    consistent(tmp_path / "lib")


def test_growth_builds_the_index_anew_and_little_changes_do_not(tmp_path):
    def grow(first, last):
        made = (
            (f"v{i}", torch.randn(40, 4, generator=torch.Generator().manual_seed(i)), 0.5)
            for i in range(first, last)
        )
        return index_features(Library(tmp_path, create=True), made, FeatureMetadata(dim=4))

    grow(0, 10)
    before = Library(tmp_path).descriptors()
    grow(0, 12)
    assert torch.equal(Library(tmp_path).descriptors().map, before.map)
    grow(0, 60)
    assert not torch.equal(Library(tmp_path).descriptors().map, before.map)
    assert len(Library(tmp_path).searchable().entries) == 60


@pytest.mark.parametrize("num_steps", [1, 3, 4, 5, 63, 64, 300, 1001])
def test_windows_are_counted_without_making_them(num_steps):
    assert count_windows(num_steps) == len(LIBRARY_WINDOWS(num_steps))


KILLED = """
import sys, time
from pathlib import Path
from tests.videos import Levels
from vreloc_pyg.library.indexing import index_videos
from vreloc_pyg.library.inputs import find_videos
from vreloc_pyg.library.library import Library

class Slow(Levels):
    def _compute(self, frames):
        time.sleep(0.02)
        return super()._compute(frames)

print("ready", flush=True)
found = index_videos(Library(sys.argv[1], create=True), find_videos([sys.argv[2]]), Slow, progress=False)
print(len(found.kept), len(found.added))
"""


def killed(folder, videos, after_s):
    """Whether a run of indexing in another process was killed after a time, before it ended."""
    words = [sys.executable, "-c", KILLED, str(folder), str(videos)]
    here = Path(__file__).parents[2]
    run = subprocess.Popen(
        words, cwd=here, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(here)}
    )
    assert run.stdout is not None
    run.stdout.readline()
    time.sleep(after_s)
    run.kill()
    run.communicate()
    return run.returncode == -9


@pytest.mark.slow
def test_killed_at_any_point_it_loses_and_repeats_nothing(videos, tmp_path):
    times = [float(one) for one in os.environ.get("VRELOC_KILLS", "0.1 0.6").split()]
    for after_s in times:
        before = (
            {one.name for one in Library(tmp_path / "lib").entries()}
            if Library.is_in(tmp_path / "lib")
            else set()
        )
        if not killed(tmp_path / "lib", videos, after_s):
            break
        if Library.is_in(tmp_path / "lib"):
            assert before <= {one.name for one in Library(tmp_path / "lib").entries()}
    finished = len(Library(tmp_path / "lib").entries()) if Library.is_in(tmp_path / "lib") else 0
    found = index(tmp_path / "lib", videos)
    assert len(found.kept) == finished
    assert len(consistent(tmp_path / "lib")) == 3
