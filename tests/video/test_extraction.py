"""Folders of videos: what is found in them, what is left out, and who may write."""

import multiprocessing
import os
import shutil
import sys

import pytest

from tests.videos import Levels, counting, write_video
from vreloc_pyg.errors import DataError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.features.store import HDF5Store, StoreWriter
from vreloc_pyg.files import locked
from vreloc_pyg.video.extraction import extract_files
from vreloc_pyg.video.video_files import video_files


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / "videos"
    write_video(folder / "a.mp4", counting(20))
    shutil.copy(folder / "a.mp4", folder / "b.mp4")
    return folder


def test_linked_folders_are_searched_once(videos, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(videos / "a.mp4", elsewhere / "c.m2ts")
    (videos / "more").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(videos)
    assert list(video_files(videos)) == ["a", "b", "c"]


@pytest.mark.skipif(sys.platform == "win32", reason="file names are text there")
def test_a_file_that_cannot_be_read_or_named_is_left_out(videos, tmp_path, monkeypatch):
    strange = os.fsencode(videos) + b"/caf\xe9.mp4"
    shutil.copy(videos / "a.mp4", strange)
    real = "vreloc_pyg.video.extraction.file_digest"
    monkeypatch.setattr(
        real, lambda path: (_ for _ in ()).throw(PermissionError(13, "denied")) if path.stem == "b" else "x"
    )
    found = extract_files(video_files(videos), Levels(), tmp_path / "out.h5", progress=False)
    assert found.done == ("a",)
    assert len(found.failed) == 2
    assert "denied" in found.failed["b"]
    assert any("not in UTF-8" in why for why in found.failed.values())
    assert HDF5Store(tmp_path / "out.h5").ids() == ["a"]


def hold(path, ready, release):
    with locked(path):
        ready.set()
        release.wait(30)


@pytest.mark.parametrize("killed", [False, True])
def test_one_process_at_a_time_writes_an_output(videos, tmp_path, killed):
    """The second is told so and spoils nothing; a process that is killed leaves no lock."""
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    output = tmp_path / "out.h5"
    other = context.Process(target=hold, args=(output.with_name("out.h5.parts"), ready, release))
    other.start()
    assert ready.wait(30)
    with pytest.raises(DataError, match="Another process is writing"):
        extract_files(video_files(videos), Levels(), output, progress=False)
    assert not output.exists()
    other.kill() if killed else release.set()
    other.join()
    extract_files(video_files(videos), Levels(), output, progress=False)
    assert HDF5Store(output).ids() == ["a", "b"]
    assert not list(tmp_path.glob(".*.lock"))


def test_two_writers_of_one_store(tmp_path):
    about = FeatureMetadata("levels", 16, 2.0)
    with (
        StoreWriter(tmp_path / "a.h5", about),
        pytest.raises(DataError, match="Another process is writing"),
        StoreWriter(tmp_path / "a.h5", about),
    ):
        pass
    assert [one.name for one in tmp_path.iterdir()] == ["a.h5"]


def test_what_a_killed_writer_left_is_begun_anew(tmp_path):
    (tmp_path / "a.h5.part").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(88))
    with StoreWriter(tmp_path / "a.h5", FeatureMetadata("levels", 16, 2.0), resume=True) as writer:
        assert "a" not in writer
