"""``vreloc locate`` on features; tests/localization/test_locate.py has it on videos."""

import json

import numpy as np
import pytest

from vreloc_pyg import cli
from vreloc_pyg.datasets import load_task
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.features.store import write_store
from vreloc_pyg.localization import Localizer
from vreloc_pyg.localization.finders import RankingFinder


@pytest.fixture
def pair():
    return load_task("synthetic").splits["test"][0]


@pytest.fixture
def files(pair, tmp_path):
    """A query and a reference of the test split as files, and how long their steps last."""
    for name, clip in zip(("query", "reference"), pair, strict=True):
        np.save(tmp_path / f"{name}.npy", clip.features.numpy())
    return tmp_path / "query.npy", tmp_path / "reference.npy", "--seconds-per-step", 0.5


@pytest.fixture
def store(pair, tmp_path):
    videos = [(name, clip.features) for name, clip in zip(("q", "r"), pair, strict=True)]
    metadata = FeatureMetadata("c3d", videos[0][1].size(1), frames_per_step=8.0, frame_rate=16.0)
    write_store(tmp_path / "store.h5", videos, metadata)
    return tmp_path / "store.h5"


def run(*arguments):
    assert cli.main(["locate", *map(str, arguments)]) == 0


def test_features_are_localized_as_by_the_model(trained, pair, files, store, tmp_path, capsys):
    localizer = Localizer.from_pretrained(trained / "model")
    expected = RankingFinder(localizer).find(pair[:1], pair[1], 3).segments.bounds.tolist()
    assert expected[0] == localizer.localize(*pair).bounds[0].tolist()
    options = ["--checkpoint", trained / "model", "--top", 3, "--json", tmp_path / "out" / "a.json"]
    for sources in (files, ("q", "r", "--features", store), (files[0], "r", "--features", store, *files[2:])):
        run(*sources, *options)
        answer = json.loads((tmp_path / "out" / "a.json").read_text())
        assert [[one["start_s"], one["end_s"]] for one in answer["segments"]] == expected
        lines = capsys.readouterr().out.splitlines()
        lines = lines[lines.index("rank  start        end          score") :]
        assert len(lines) == 2 + len(expected)
        assert lines[-1] == f"Written to {tmp_path / 'out' / 'a.json'}"
        for line, segment in zip(lines[1:-1], answer["segments"], strict=True):
            rank, start, _, score = line.split()
            hours, minutes, seconds = start.split(":")
            assert int(rank) == segment["rank"]
            assert 3600 * int(hours) + 60 * int(minutes) + float(seconds) == pytest.approx(segment["start_s"])
            assert float(score) == pytest.approx(segment["score"], abs=1e-3)
    assert answer["settings"]["extractor"]["extractor"] == "c3d"


def test_a_part_of_a_query_by_seconds_and_by_the_clock(files, tmp_path, pair, capsys):
    steps = pair[0].features[2:6].numpy()
    np.save(tmp_path / "part.npy", steps)
    run(tmp_path / "part.npy", *files[1:])
    expected = capsys.readouterr().out
    assert expected
    for start, end in ((1.0, 3.0), ("0:00:01.000", "0:03")):
        run(*files, "--start", start, "--end", end)
        assert capsys.readouterr().out == expected


def test_an_answer_is_exported_by_suffix(files, tmp_path, fails):
    run(*files, "--export", tmp_path / "a.vtt", "--srt", tmp_path / "a.srt", "--json", tmp_path / "a.json")
    cues = (tmp_path / "a.vtt").read_text().partition("\n\n")[2].split("\n\n")
    blocks = (tmp_path / "a.srt").read_text().replace(",", ".").split("\n\n")
    assert [cue.strip() for cue in cues] == [block.partition("\n")[2].strip() for block in blocks]
    assert len(cues) == len(json.loads((tmp_path / "a.json").read_text())["segments"])
    for wrong, message in (
        ("a.word", "No format is written with"),
        ("a.edl", "The format edl counts frames"),
    ):
        assert message in fails("locate", *files, "--export", tmp_path / wrong)
        assert not (tmp_path / wrong).exists()


def test_nothing_is_written_unasked(files, tmp_path):
    before = sorted(tmp_path.iterdir())
    run(*files)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("which", ["query", "reference"])
def test_missing_and_unfit_features(trained, files, fails, which):
    arguments = ["locate", "--checkpoint", trained / "model", *files]
    path = files[which == "reference"]
    steps = 6 if which == "query" else 60
    infinite = f"The features in {path} hold NaN or infinite values"
    for array, message in [
        (np.ones((steps, 5)), f"Expected features of {which} '{which}' with F = 8 (got F = 5)"),
        (np.full((steps, 8), np.nan), infinite),
        (np.full((steps, 8), np.inf), infinite),
        (np.ones((0, 8)), "at least one step" if which == "query" else "the reference 0.0 s"),
        (np.ones(12), f"Expected a matrix [num_steps, F] of numbers in {path}"),
    ]:
        np.save(path, array)
        assert message in fails(*arguments)
    path.unlink()
    assert fails(*arguments).startswith(f"Cannot read the features {path}: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--top=0"], "Expected top_n >= 1 (got 0)"),
        (["--seconds-per-step=0"], "Expected positive seconds_per_step (got 0.0)"),
        (["--seconds_per_step=-.5"], "Expected positive seconds_per_step (got -0.5)"),
        (["--seconds-per-step=.inf"], "Expected positive seconds_per_step (got inf)"),
        (["--seconds-per-step=fast"], "Expected --seconds-per-step as number (got 'fast')"),
        (["--start=soon"], "Expected a time in seconds or as h:mm:ss (got 'soon')"),
        (["--start=100"], "it has no part from 100 to"),
        (["--start=2", "--end=1"], "it has no part from 2 to 1 s"),
        (["--html=a.html"], "--html shows videos, and"),
        (["--clip=a.mp4"], "--clip shows videos, and"),
        (["--json=."], "Cannot write to .: it is a folder"),
        (["--checkpoint=nowhere"], "Cannot read the model settings nowhere/config.json: "),
    ],
)
def test_bad_settings_of_an_answer(files, fails, arguments, message):
    assert message in fails("locate", *files, *arguments)


def test_what_a_name_cannot_mean(files, store, fails, tmp_path):
    query, reference, *step = files
    assert "give --seconds-per-step" in fails("locate", query, reference)
    assert "There is no video file nowhere.mp4" in fails("locate", "nowhere.mp4", reference, *step)
    message = fails("locate", query, "rr", "--features", store, *step)
    assert message == f"There is no file rr, and {store} holds no such video; did you mean r?"
    message = fails("locate", query, "r", "--features", store, "--seconds-per-step", 2)
    assert message == f"Steps last 2 s in {query} and 0.5 s in r"
    assert "cannot be longer" in fails("locate", reference, query, *step)
