"""``vreloc export`` and ``import-annotations``: out to a tool, corrected there, and back into training."""

import json
from fractions import Fraction

import numpy as np
import pytest

from tests.answers.exports.making import write_at
from tests.commands.conftest import TINY
from vreloc_pyg import cli
from vreloc_pyg.moments import Moment, save_moments

LABELS = ("wave", "clap", "jump", "sit")


def run(*arguments):
    assert cli.main([*map(str, arguments)]) == 0


@pytest.fixture
def video(tmp_path):
    return write_at(tmp_path / "day.mp4", Fraction(25), 50)


@pytest.fixture
def found(tmp_path, video):
    moments = [Moment(str(video), 0.2, 1.0, 0.9, "sure"), Moment(str(video), 1.2, 1.24, 0.4, "maybe")]
    return save_moments(tmp_path / "found.json", moments, {"query": "q.mp4"})


def test_results_are_written_for_another_tool(tmp_path, found, capsys):
    run("export", found, "--output", tmp_path / "out" / "a.edl", "--top=1")
    assert capsys.readouterr().out == f"1 moments. Written to {tmp_path / 'out' / 'a.edl'}\n"
    text = (tmp_path / "out" / "a.edl").read_text()
    assert "00:00:00:05 00:00:01:00 00:00:00:00 00:00:00:20" in text
    run("export", found, "--output", tmp_path / "a", "--format=vtt")
    assert (
        (tmp_path / "a").read_text().startswith("WEBVTT\n\n00:00:00.200 --> 00:00:01.000\n#1  score 0.900\n")
    )


def test_the_json_of_locate_is_read_too(tmp_path, video, fails):
    segments = [{"rank": 1, "start_s": 0.5, "end_s": 1.5, "score": -0.3}]
    path = tmp_path / "answer.json"
    values = {"query": "q.mp4", "reference": str(video), "match": False, "segments": segments}
    path.write_text(json.dumps(values))
    run("export", path, "--output", tmp_path / "a.csv", "--format=csv")
    line = (tmp_path / "a.csv").read_text().splitlines()[1]
    assert line == f"1,{video},0.5,1.5,,-0.3,not found"
    segments[0]["verdict"] = "maybe"
    path.write_text(json.dumps(values))
    run("export", path, "--output", tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().splitlines()[1].endswith(",maybe")
    del segments[0]["score"]
    path.write_text(json.dumps(values))
    assert "holds a wrong segment: 'score'" in fails("export", path, "--output", tmp_path / "b.csv")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output=a.txt"], "No format is written with the suffix of a.txt; choose one of json, csv"),
        (["--output=a.srt", "--format=word"], "Unknown format 'word'; known are"),
        (["--output=.", "--format=srt"], "Cannot write to .: it is a folder"),
        (["--output=found.json"], "Cannot write to found.json: it is one of the files that are read"),
        (
            ["--output=day.mp4", "--format=srt"],
            "day.mp4: it is one of the files that are read",
        ),
        (["--output=found.json/a.srt"], "is no folder that may be written to"),
        (["--output=a.srt", "--video=night.mp4"], "found.json has no moment of night.mp4; it has of /"),
        (["--output=a.srt", "--top=0"], "Expected --top >= 1 (got 0)"),
        (["--output=a.edl", "--frame-rate=fast"], "Expected a frame rate such as 25"),
    ],
)
def test_what_cannot_be_exported(tmp_path, monkeypatch, found, fails, arguments, message):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert message in fails("export", "found.json", *arguments)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["found.json", "--output=a.csv"], "There is no labelled stretch of video in found.json"),
        (["found.json", "--output=found.json"], "Cannot write to found.json: it is one of the files"),
        (["nothing.eaf", "--output=a.csv"], "Cannot read nothing.eaf"),
        (["found.json", "--output=a.csv", "--videos=nowhere"], "There is no folder of videos nowhere"),
        (["day.mp4", "--output=a.csv"], "Cannot read day.mp4: it is not in UTF-8"),
    ],
)
def test_what_cannot_be_imported(tmp_path, monkeypatch, found, fails, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in fails("import-annotations", *arguments)
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize("format", ["labelstudio", "eaf", "otio", "boris", "cvat", "edl", "csv"])
def test_corrected_answers_train_a_model(tmp_path, format):
    if format in ("eaf", "cvat"):  # a file a video
        chosen = [["--video", str(tmp_path / f"day{i}.mp4")] for i in range(4)]
    else:
        chosen = [[]]
    (tmp_path / "own" / "features").mkdir(parents=True)
    moments, rng = [], np.random.default_rng(0)
    for i in range(4):
        video = write_at(tmp_path / f"day{i}.mp4", Fraction(25), 2)
        features = rng.normal(size=(40, 8)).astype(np.float32)
        np.save(tmp_path / "own" / "features" / f"day{i}.npy", features)
        for place, label in enumerate(LABELS):
            start = 0.2 + 2.4 * ((place + i) % 4)
            moments.append(Moment(str(video), start, start + 1.2, 0.5, "sure", label))
    about = {"frames_per_step": 10, "frame_rate": 40}
    (tmp_path / "own" / "features" / "metadata.json").write_text(json.dumps(about))
    save_moments(tmp_path / "found.json", moments)
    for number, options in enumerate(chosen):
        place = tmp_path / "corrected" / f"{number}.{format}"
        run("export", tmp_path / "found.json", "--output", place, "--format", format, *options)
    out = tmp_path / "own" / "annotations.csv"
    run("import-annotations", tmp_path / "corrected", "--output", out, "--videos", tmp_path)
    lines = out.read_text().splitlines()
    assert sorted(lines[1:]) == sorted(set(lines[1:]))
    assert len(lines) == 17
    run("validate", "--annotations", tmp_path / "own")
    run("train", "--data=folder", "--root", tmp_path / "own", "--output", tmp_path / "run", *TINY)
    assert (tmp_path / "run" / "model" / "config.json").is_file()
