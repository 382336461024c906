"""What can be written is found out before anything is computed."""

import pytest

from tests.videos import counting, write_video
from vreloc_pyg.answers.outputs import check_outputs
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
        ({"json": "a.mp4"}, "it is one of the videos"),
    ],
)
def test_what_cannot_be_written_is_refused(video, tmp_path, monkeypatch, outputs, problem):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VrelocError, match=problem):
        check_outputs(video, video, outputs)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_new_folders_will_be_made_and_locked_ones_are_refused(video, tmp_path, monkeypatch):
    wanted = {"json": tmp_path / "deep" / "er" / "a.json", "clip": tmp_path / "deep" / "a.mkv"}
    assert check_outputs(video, video, {**wanted, "srt": None}) == wanted
    assert not (tmp_path / "deep").exists()

    def refused(*_, **__):
        raise PermissionError

    monkeypatch.setattr("vreloc_pyg.answers.outputs.TemporaryFile", refused)
    with pytest.raises(DataError, match="may be written to"):
        check_outputs(video, video, wanted)
