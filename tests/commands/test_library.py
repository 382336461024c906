"""vreloc index, search and cut, on drawn videos."""

import json
import shutil
import sys

import pytest
import torch

from tests.videos import grey, write_video
from vreloc_pyg import cli
from vreloc_pyg.answers.table import moment_table
from vreloc_pyg.moments import Moment, load_moments, save_moments
from vreloc_pyg.video.decoding import video_duration
from vreloc_pyg.video.extractors import EXTRACTORS

PATTERN = [20, 220, 90, 160, 40]


def shown(seed, at=None):
    """100 frames of random greys; the pattern from a frame on."""
    drawn = torch.Generator().manual_seed(seed)
    levels = [int(one) for one in torch.randint(0, 255, (25,), generator=drawn) for _ in range(4)]
    pattern = [level for level in PATTERN for _ in range(4)]
    if at is not None:
        levels[at : at + 20] = pattern
    return [grey(level) for level in levels]


@pytest.fixture(scope="module")
def season(tmp_path_factory):
    folder = tmp_path_factory.mktemp("season")
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(EXTRACTORS, "levels", "tests.videos:LEVELS")
        for number, at in enumerate([40, None, 20, None]):
            write_video(folder / "videos" / f"match {number}.mp4", shown(number, at))
        write_video(folder / "query.mp4", [grey(level) for level in PATTERN for _ in range(4)])
        words = ["index", str(folder / "videos"), "--library", str(folder / "lib"), "--extractor", "levels"]
        assert cli.main(words) == 0
    return folder


@pytest.fixture(autouse=True)
def levels(monkeypatch):
    monkeypatch.setitem(EXTRACTORS, "levels", "tests.videos:LEVELS")


def run(capsys, *words, code=0):
    assert cli.main([*map(str, words)]) == code
    return capsys.readouterr().out


VERDICTS = ((0.0, "sure"), (1.0, "not found"), (2.0, None))


def test_three_verbs(season, tmp_path, capsys):
    found = tmp_path / "found.json"
    words = ("search", season / "query.mp4", "--library", season / "lib", "--top", 2, "--cache", tmp_path)
    text = run(capsys, *words, "--json", found)
    assert "match 0.mp4" in text.splitlines()[1] + text.splitlines()[2]
    moments = load_moments(found)
    assert {one.video for one in moments} == {str(season / "videos" / f"match {n}.mp4") for n in (0, 2)}
    starts = {one.video[-5]: one.start_s for one in moments}
    assert starts == pytest.approx({"0": 4.0, "2": 2.0}, abs=0.41)
    for times in (1, 2):  # clips that are there stay
        assert "2 of 2 moments cut" in run(capsys, "cut", found, "--output", tmp_path / "clips")
        assert len(list((tmp_path / "clips").glob("match_*.mp4"))) == 2 * times
    # a result becomes the query
    one = moments[0]
    words = ("search", one.video, "--start", one.start_s, "--end", one.end_s, "--library", season / "lib")
    again = run(capsys, *words, "--cache", tmp_path, "--top", 1)
    assert again.splitlines()[1].endswith(one.video[-11:])


def test_what_was_located_is_cut_too(season, tmp_path, capsys):
    words = ("locate", season / "query.mp4", season / "videos" / "match 2.mp4", "--extractor", "levels")
    text = run(capsys, *words, "--top", 2, "--cache", tmp_path, "--json", tmp_path / "a.json")
    found = json.loads((tmp_path / "a.json").read_text())["segments"]
    lines = text.splitlines()
    heading = lines.index("rank  start        end          score")
    assert [line.split()[0] for line in lines[heading + 1 : -1]] == ["1", "2"][: len(found)]
    said = run(capsys, "cut", tmp_path / "a.json", "--output", tmp_path / "clips")
    assert f"{len(found)} of {len(found)} moments cut" in said
    clips = {path.name: video_duration(path) for path in (tmp_path / "clips").glob("match_2_*.mp4")}
    lengths = [one["end_s"] - one["start_s"] for one in found]
    assert sorted(clips.values()) == pytest.approx(sorted(lengths), abs=0.11)


def test_what_is_called_not_found_is_cut_only_if_asked_for(season, tmp_path, capsys):
    video = season / "videos" / "match 2.mp4"
    moments = [Moment(str(video), start, start + 1.0, 0.5, verdict) for start, verdict in VERDICTS]
    save_moments(tmp_path / "found.json", moments, {})
    words = ("cut", tmp_path / "found.json", "--output", tmp_path / "clips")
    assert run(capsys, *words).splitlines()[-2:] == [
        "2 of 2 moments cut",
        "1 more are called not found; --all cuts them too",
    ]
    assert "3 of 3 moments cut" in run(capsys, *words, "--all")


def test_a_table_says_what_is_known():
    known = [Moment("a b.mp4", 1.5, 3661.25, -0.25, "maybe"), Moment("c.mp4", 0.0, 2.0, 1.0)]
    assert moment_table(known, videos=True) == [
        "rank  start        end          score   verdict    video",
        "   1  0:00:01.500  1:01:01.250  -0.250  maybe      a b.mp4",
        "   2  0:00:00.000  0:00:02.000  +1.000  -          c.mp4",
    ]
    assert moment_table(known[1:], videos=False) == [
        "rank  start        end          score",
        "   1  0:00:00.000  0:00:02.000  +1.000",
    ]


def test_changed_and_vanished_videos_are_said_and_not_cut(season, tmp_path, capsys):
    own = shutil.copytree(season / "videos", tmp_path / "videos")
    run(capsys, "index", own, "--library", tmp_path / "lib", "--extractor", "levels")
    words = ("search", season / "query.mp4", "--library", tmp_path / "lib", "--cache", tmp_path, "--top", 2)
    run(capsys, *words, "--json", tmp_path / "found.json")
    (own / "match 0.mp4").unlink()
    write_video(own / "match 2.mp4", shown(9))
    text = run(capsys, *words)
    assert "match 0.mp4 is no file any more" in text
    assert "match 2.mp4 has changed since it was read" in text
    text = run(capsys, "cut", tmp_path / "found.json", "--output", tmp_path / "clips", code=3)
    assert "0 of 2 moments cut" in text
    assert list((tmp_path / "clips").glob("*.mp4")) == []


def test_a_bad_file_among_good_ones(season, tmp_path, capsys):
    (tmp_path / "bad.mp4").write_bytes(b"none")
    shutil.copy(season / "query.mp4", tmp_path)
    words = ("index", tmp_path, "--library", tmp_path / "lib", "--extractor", "levels")
    text = run(capsys, *words, code=3)
    assert "1 added, 1 could not be read" in text
    assert str(tmp_path / "bad.mp4") in text


def test_lists_and_patterns(season, tmp_path, capsys):
    (tmp_path / "list.txt").write_text(f"# a comment\n{season}/videos/match [01].mp4\n{season}/query.mp4\n")
    text = run(capsys, "index", tmp_path / "list.txt", "--library", tmp_path / "lib", "--extractor", "levels")
    assert "3 added" in text
    text = run(capsys, "index", "--library", tmp_path / "lib", "--remove", f"[{season}/query.mp4]")
    assert "1 removed" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["index", "--library", "{new}"], "Name videos"),
        (["index", "{new}", "--library", "{new}/lib"], "There is no file or folder"),
        (["index", "{videos}", "--library", "{lib}", "--extractor", "c3d"], "there levels"),
        (["index", "--library", "{lib}", "--store", "lance"], "has an index of the kind faiss"),
        (["index", "--library", "{lib}", "--remove", "[nothing.mp4]"], "holds no video"),
        (["search", "{query}", "--library", "{new}"], "There is no library in"),
        (["search", "{videos}/none.mp4", "--library", "{lib}"], "There is no file"),
        (["search", "{query}", "{query}", "--start", "1", "--library", "{lib}"], "a single query"),
        (["search", "{query}", "--library", "{lib}", "--json", "{query}/a.json"], "Cannot write to"),
        (["search", "{query}", "--library", "{lib}", "--html", "{videos}"], "it is a folder"),
        (["search", "{query}", "--library", "{lib}", "--html", "{query}"], "one of the files that are read"),
        (["search", "{query}", "--library", "{lib}", "--html", "{new}", "--json", "{new}"], "Two outputs"),
        (["serve", "--library", "{new}"], "There is no library in"),
        (["serve", "--library", "{lib}", "--extractor", "c3d"], "there levels"),
        (["serve", "--library", "{lib}", "--system", "alignment"], "without --system"),
        (["search", "{query}", "--library", "{lib}", "--json", "{videos}"], "it is a folder"),
        (["cut", "{query}", "--output", "{new}"], "not in UTF-8"),
    ],
)  # fmt: skip
def test_bad_input(words, said, season, tmp_path, capsys):
    places = {
        "new": tmp_path / "new",
        "videos": season / "videos",
        "lib": season / "lib",
        "query": season / "query.mp4",
    }
    assert cli.main([word.format(**places) for word in words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_store_of_features_becomes_a_library(tmp_path, capsys):
    import numpy as np

    for number in range(3):
        np.save(tmp_path / f"v{number}.npy", np.random.default_rng(number).normal(size=(60, 6)))
    words = ("index", "--features", tmp_path, "--library", tmp_path / "lib", "--seconds-per-step", 0.5)
    assert "3 added" in run(capsys, *words)
    text = run(capsys, "search", "v1", "--library", tmp_path / "lib", "--start", 5, "--end", 12, "--top", 1)
    assert text.splitlines()[1].split()[1:3] == ["0:00:05.000", "0:00:12.000"]
    assert text.split()[-1] == "v1"


def test_a_results_file_with_wrong_marks(tmp_path, capsys):
    found = tmp_path / "found.json"
    found.write_text(json.dumps({"about": {"files": [1]}, "moments": []}))
    assert cli.main(["cut", str(found), "--output", str(tmp_path / "clips")]) == 2
    assert "expected 'files'" in capsys.readouterr().err


def test_without_faiss_the_extra_is_named(season, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert cli.main(["search", str(season / "query.mp4"), "--library", str(season / "lib")]) == 2
    assert "pip install 'vreloc_pyg[library]'" in capsys.readouterr().err
