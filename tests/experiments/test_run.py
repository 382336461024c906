import json

import pandas as pd
import pytest

from tests.experiments.conftest import TINY
from vreloc_pyg.datasets.splits import Query
from vreloc_pyg.errors import DataError
from vreloc_pyg.experiments import run
from vreloc_pyg.experiments.plan import BenchmarkPlan
from vreloc_pyg.experiments.run import WrongQuery, mean_recall, read_answers, run_benchmark, spread_pairs
from vreloc_pyg.segments import Segments


def plan(*systems, **options):
    return BenchmarkPlan("synthetic", systems=systems, training={"all": TINY}, **options)


def test_every_system_answers_the_same_pairs_and_nothing_is_done_twice(
    tmp_path, monkeypatch, small_benchmark
):
    chosen = plan("rules", "frame-level", "matching-transformer", "mgffnet", "wrong-query")
    said = []
    frame = run_benchmark(chosen, tmp_path, said.append, progress=False)
    pairs = frame.groupby("system")["pair"].agg(tuple)
    assert set(pairs) == {tuple(range(len(small_benchmark.splits["test"])))}
    assert {"MGFFNet (recommended)", "matching-transformer", "frame-level", "window rule"} <= set(pairs.index)
    assert "MGFFNet (recommended), query of another class" in pairs.index
    assert (frame.loc[frame["system"] == "MGFFNet (recommended)", "parameters"] > 1000).all()
    assert (frame.loc[frame["system"] == "window rule", "parameters"] == 0).all()
    assert len(said) == 5

    monkeypatch.setattr(run, "train_system", None)
    monkeypatch.setattr(run, "evaluate", None)
    pd.testing.assert_frame_equal(run_benchmark(chosen, tmp_path, said.append, progress=False), frame)
    assert len(said) == 5
    recall = mean_recall(chosen, tmp_path)
    assert recall["0.5"] >= recall["0.9"]
    assert mean_recall(plan(), tmp_path / "elsewhere") is None


def test_a_network_of_other_settings(tmp_path):
    chosen = plan("mgffnet", model={"mgffnet": {"hidden_channels": 8}})
    frame = run_benchmark(chosen, tmp_path, print, progress=False)
    config = json.loads((tmp_path / "runs/fold0/mgffnet/model/config.json").read_text())
    assert config["model"]["hidden_channels"] == 8
    assert frame["parameters"].max() < 10_000
    with pytest.raises(DataError, match="other settings"):
        run_benchmark(plan("mgffnet"), tmp_path, print, progress=False)


def test_a_run_that_was_interrupted_goes_on(tmp_path, monkeypatch):
    chosen = plan("mgffnet")
    evaluate = run.evaluate
    monkeypatch.setattr(run, "evaluate", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_benchmark(chosen, tmp_path, print, progress=False)
    monkeypatch.setattr(run, "evaluate", evaluate)
    monkeypatch.setattr(run, "train_system", None)  # the model is there
    assert len(run_benchmark(chosen, tmp_path, print, progress=False)) > 0


def test_training_goes_on_from_the_last_checkpoint(tmp_path, monkeypatch):
    resumed = []
    train = run.train_system

    def interrupted(*arguments, resume, **options):
        resumed.append(resume)
        found = train(*arguments, resume=resume, **options)
        if len(resumed) == 1:
            (tmp_path / "runs/fold0/mgffnet/model/config.json").unlink()
            (tmp_path / "runs/fold0/mgffnet/model/model.safetensors").unlink()
            (tmp_path / "runs/fold0/mgffnet/model").rmdir()
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(run, "train_system", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(plan("mgffnet"), tmp_path, print, progress=False)
    run_benchmark(plan("mgffnet"), tmp_path, print, progress=False)
    assert resumed == [False, True]


def test_answers_of_other_settings_are_not_taken_for_these(tmp_path):
    run_benchmark(plan("rules"), tmp_path, print, progress=False)
    with pytest.raises(DataError, match=r"rules\.settings\.json is of a run with other settings"):
        run_benchmark(plan("rules", max_pairs=2), tmp_path, print, progress=False)


def test_spoilt_answers_name_the_file(tmp_path):
    path = tmp_path / "rules.csv"
    path.write_text("")
    with pytest.raises(DataError, match=r"rules\.csv.*remove it"):
        read_answers(path)


def test_pairs_are_spread_evenly(small_benchmark):
    split = small_benchmark.splits["test"]
    few = spread_pairs(split, 3)
    assert few.pairs == [split.pairs[0], split.pairs[3], split.pairs[6]]
    assert spread_pairs(split, None) is split
    assert spread_pairs(split, 1000) is split


def test_the_wrong_query_is_of_another_class(small_benchmark):
    split = small_benchmark.splits["test"]
    asked: list[Query] = []

    class Spy:
        name = "spy"

        def localize(self, query, reference, top_n=1):
            asked.append(query)
            return Segments([[0.0, 1.0]], [0.0])

    wrong = WrongQuery(Spy(), split)
    for query, reference in map(split.__getitem__, range(len(split))):
        wrong.localize(query.unlabelled(), reference.unannotated())
        assert asked[-1].label != query.label
    assert wrong.name == "spy, query of another class"
