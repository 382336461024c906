"""Whom of several people poses are of: named by a place, in Python and on the command line."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.videos import REAL, counting, write_video
from vreloc_pyg.cli import main
from vreloc_pyg.errors import DataError, SettingsError, VideoError
from vreloc_pyg.features.store import open_store
from vreloc_pyg.localization import locate
from vreloc_pyg.video.decoding import FrameGrid, read_frames
from vreloc_pyg.video.extraction import extract_video
from vreloc_pyg.video.extractors import EXTRACTORS
from vreloc_pyg.video.place import Place
from vreloc_pyg.video.shards import extract_features


@pytest.mark.parametrize(
    "text", ["0.3", "a,b", "0.3,0.5,0.7", "-0.1,0.5", "310,200", "0.5,1.01", "nan,0", ""]
)
def test_a_place_outside_the_picture_is_refused(text):
    with pytest.raises(SettingsError, match="shares of its width and height"):
        Place.parse(text)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_place_reads_back(x, y):
    assert Place.parse(f"{x:.6f}, {y:.6f}") == Place(round(x, 6), round(y, 6))


def two_people(folder: Path) -> tuple[Path, np.ndarray]:
    """A golfer on the left and a dancer on the right of one picture, and the dancer alone."""
    clips = [REAL / "across" / name for name in ("golf_swing_1.mp4", "other_dance.mp4")]
    for path in clips:
        if not path.is_file():
            pytest.skip(f"There is no {path}: set VRELOC_DATA")
    frames = [list(read_frames(path, FrameGrid(15, 240, 240), end_s=1.0)) for path in clips]
    pairs = [np.concatenate(pair, axis=1) for pair in zip(*frames, strict=True)]
    return write_video(folder / "two.mp4", pairs, rate=15), np.stack(frames[1])


@pytest.mark.slow
def test_the_person_who_is_named_is_followed(extractor, tmp_path, capsys):
    path, dancer = two_people(tmp_path)
    left, right = (extractor.following(Place(x, 0.5)).read(path) for x in (0.25, 0.75))
    for poses, low in ((left, 0), (right, 240)):
        hips = poses.landmarks[poses.present][:, 23:25, 0].mean(1)
        assert poses.present.mean() > 0.9
        assert ((hips > low) & (hips < low + 240)).all()
    alone = extractor.track(dancer).landmarks[:, :, :2] + [240, 0]
    there = right.present
    assert (
        np.abs(
            right.landmarks[there][:, [0, 11, 12, 23, 24], :2] - alone[there][:, [0, 11, 12, 23, 24]]
        ).mean()
        < 10
    )
    found = {x: extract_video(path, extractor.following(Place(x, 0.5))).features for x in (0.25, 0.75)}
    assert not torch.equal(found[0.25], found[0.75])
    with pytest.raises(VideoError, match=r"No person is seen at 0\.02,0\.02 in .*two\.mp4"):
        extract_video(path, extractor.following(Place(0.02, 0.02)))

    store = str(tmp_path / "features.h5")
    asked = ["features", str(path), "--extractor", "pose", "--output", store, "--person"]
    assert main([*asked, "0.25,0.5"]) == 0
    assert main([*asked, "0.75,0.5"]) == 0
    assert capsys.readouterr().out.count("1 done, 0 were there") == 2
    assert main([*asked, "0.75,0.5"]) == 0
    assert "0 done, 1 were there" in capsys.readouterr().out
    torch.testing.assert_close(open_store(store).read("two"), found[0.75])


@pytest.mark.slow
def test_query_and_reference_name_their_person(extractor, tmp_path, capsys):
    path, _ = two_people(tmp_path)
    left, right = Place(0.25, 0.5), Place(0.75, 0.5)
    cache = tmp_path / "cache"
    best = {
        other: locate(
            path,
            path,
            system="mean-cosine",
            extractor=extractor,
            person=left,
            reference_person=other,
            cache=cache,
        )
        for other in (left, right)
    }
    assert best[left].moments[0].score == pytest.approx(1, abs=1e-5)
    assert best[right].moments[0].score < 0.9
    assert best[right].settings["reference_person"] == "0.75,0.5"
    for wrong in ("310,200", "left"):
        assert main(["locate", str(path), str(path), "--extractor", "pose", "--person", wrong]) == 2
        assert wrong in capsys.readouterr().err


def test_nobody_is_named_where_that_says_nothing(extractor, tmp_path, monkeypatch):
    monkeypatch.setitem(EXTRACTORS, "levels", "tests.videos:LEVELS")
    path, place = write_video(tmp_path / "grey.mp4", counting(20)), Place(0.5, 0.5)
    for videos, name, expected in (
        (tmp_path, "pose", "is a folder: give a file"),
        (path, "levels", "give --extractor pose, or no person"),
    ):
        with pytest.raises(SettingsError, match=expected):
            extract_features(videos, tmp_path / "a.h5", name, person=place)
    with pytest.raises(SettingsError, match="give --extractor pose, or no person"):
        locate(path, path, extractor="levels", reference_person=place)
    np.save(tmp_path / "query.npy", np.ones((5, 3), np.float32))
    with pytest.raises(DataError, match="can be chosen in a video only"):
        locate(tmp_path / "query.npy", path, extractor="levels", person=place)
