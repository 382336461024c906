"""What can be written is found out before anything is computed."""

import pytest

from tests.videos import counting, write_video
from vreloc_pyg.answers.outputs import check_answer_outputs, check_outputs
from vreloc_pyg.errors import DataError, VrelocError


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "a.mp4", counting(5))


@pytest.mark.parametrize(
    ("outputs", "problem"),
    [
        ({"clip": "clip.txt"}, "use a suffix such as .mp4"),
        ({"clip": "clip"}, "use a suffix such as .mp4"),
        ({"clip": "clip.webm"}, "use a suffix such as .mp4"),
        ({"json": "a.mp4/b.json"}, "is no folder that may be written to"),
        ({"json": "same.out", "srt": "./same.out"}, "Two outputs are to be written to"),
        ({"html": "."}, "it is a folder"),
        ({"json": "a.mp4"}, "it is one of the files that are read"),
    ],
)
def test_what_cannot_be_written_is_refused(video, tmp_path, monkeypatch, outputs, problem):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VrelocError, match=problem):
        check_answer_outputs(video, video, outputs)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_new_folders_will_be_made_and_locked_ones_are_refused(video, tmp_path, monkeypatch):
    wanted = {"json": tmp_path / "deep" / "er" / "a.json", "clip": tmp_path / "deep" / "a.mkv"}
    assert check_answer_outputs(video, video, {**wanted, "srt": None}) == wanted
    assert not (tmp_path / "deep").exists()

    def refused(*_, **__):
        raise PermissionError

    monkeypatch.setattr("vreloc_pyg.answers.outputs.TemporaryFile", refused)
    with pytest.raises(DataError, match="may be written to"):
        check_answer_outputs(video, video, wanted)


def test_what_else_is_read_is_not_written_over(video, tmp_path):
    (tmp_path / "link.json").symlink_to(video)
    for path in (video, tmp_path / "link.json", tmp_path / "b" / ".." / "a.mp4"):
        with pytest.raises(DataError, match="one of the files that are read"):
            check_outputs([tmp_path / "other.mp4", video], {"json": path})
        with pytest.raises(DataError, match="one of the files that are read"):
            check_answer_outputs("query", "reference", {"json": path}, [video])
    assert check_outputs([], {"json": None}) == {}
