import json
from dataclasses import replace
from shutil import rmtree

import pandas as pd
import pytest

from tests.experiments.conftest import TINY
from vreloc_pyg.datasets.splits import another_class, backwards
from vreloc_pyg.errors import DataError
from vreloc_pyg.experiments import runs
from vreloc_pyg.experiments.plan import BenchmarkPlan
from vreloc_pyg.experiments.runs import mean_recall, read_answers, run_benchmark, spread_pairs
from vreloc_pyg.localization import Localizer
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.systems.catalog import find_system


def plan(*systems, **options):
    return BenchmarkPlan("synthetic", systems=systems, training={"all": TINY}, **options)


def test_every_system_answers_the_same_pairs_and_nothing_is_done_twice(tmp_path, monkeypatch, small_task):
    names = ("window-rule", "frame-level", "matching-transformer", "mgffnet", "wrong-query")
    chosen = plan(*names)
    said = []
    frame = run_benchmark(chosen, tmp_path, said.append, progress=False)
    pairs = frame.groupby("system")["pair"].agg(tuple)
    assert set(pairs) == {tuple(range(len(small_task.splits["test"])))}
    specs = [find_system(name) for name in names]
    kins = frame.groupby("system", sort=False)["kin"].first()
    assert list(kins.items()) == [(one.row, one.kin) for one in specs]
    assert (frame.loc[frame["kin"] == "own", "parameters"] > 1000).all()
    assert (frame.loc[frame["kin"].isin(["rule", "control"]), "parameters"] == 0).all()
    assert len(said) == 5

    monkeypatch.setattr(runs, "train_system", None)
    monkeypatch.setattr(runs, "evaluate", None)
    pd.testing.assert_frame_equal(run_benchmark(chosen, tmp_path, said.append, progress=False), frame)
    assert len(said) == 5
    recall = mean_recall(chosen, tmp_path)
    assert recall["0.5"] >= recall["0.9"]


def test_a_network_of_other_settings(tmp_path):
    chosen = plan("mgffnet", model={"mgffnet": {"hidden_channels": 8}})
    frame = run_benchmark(chosen, tmp_path, print, progress=False)
    config = json.loads((tmp_path / "runs/fold0/mgffnet/model/config.json").read_text())
    assert config["settings"]["hidden_channels"] == 8
    assert frame["parameters"].max() < 10_000
    with pytest.raises(DataError, match="other settings"):
        run_benchmark(plan("mgffnet"), tmp_path, print, progress=False)


def test_a_run_that_was_interrupted_goes_on(tmp_path, monkeypatch):
    chosen = plan("mgffnet")
    evaluate = runs.evaluate
    monkeypatch.setattr(runs, "evaluate", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_benchmark(chosen, tmp_path, print, progress=False)
    monkeypatch.setattr(runs, "evaluate", evaluate)
    monkeypatch.setattr(runs, "train_system", None)  # the model is there
    assert len(run_benchmark(chosen, tmp_path, print, progress=False)) > 0


def test_training_goes_on_from_the_last_checkpoint(tmp_path, monkeypatch):
    resumed = []
    train = runs.train_system

    def interrupted(*arguments, resume, **options):
        resumed.append(resume)
        found = train(*arguments, resume=resume, **options)
        if len(resumed) == 1:
            rmtree(tmp_path / "runs/fold0/mgffnet/model")
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(runs, "train_system", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(plan("mgffnet"), tmp_path, print, progress=False)
    run_benchmark(plan("mgffnet"), tmp_path, print, progress=False)
    assert resumed == [False, True]


def test_answers_of_other_settings_are_not_taken_for_these(tmp_path):
    run_benchmark(plan("chance"), tmp_path, print, progress=False)
    with pytest.raises(DataError, match=r"chance\.settings\.json is of a run with other settings"):
        run_benchmark(plan("chance", max_pairs=2), tmp_path, print, progress=False)


def test_a_model_that_only_a_control_asked_is_not_taken_for_one_of_other_settings(tmp_path):
    run_benchmark(plan("wrong-query"), tmp_path, print, progress=False)
    other = {"mgffnet": {"hidden_channels": 8}}
    with pytest.raises(DataError, match=r"mgffnet\.settings\.json is of a run with other settings"):
        run_benchmark(plan("mgffnet", model=other), tmp_path, print, progress=False)


def test_spoilt_answers_name_the_file(tmp_path):
    path = tmp_path / "chance.csv"
    path.write_text("")
    with pytest.raises(DataError, match=r"chance\.csv.*remove it"):
        read_answers(path)


def test_pairs_are_spread_evenly(small_task):
    split = small_task.splits["test"]
    few = spread_pairs(split, 3)
    assert few.pairs == [split.pairs[0], split.pairs[3], split.pairs[6]]
    other = next(r for r, one in enumerate(split.references) if split.queries[0].label not in one.labels)
    wide = replace(split, absent=[(0, other)] * 2)
    assert (len(spread_pairs(wide, 1).absent), len(spread_pairs(wide, 3).absent)) == (1, 2)
    assert spread_pairs(split, None) is split
    assert spread_pairs(split, 1000) is split


def test_the_control_answers_for_queries_of_another_class(tmp_path, small_task):
    frame = run_benchmark(plan("mgffnet", "wrong-query"), tmp_path, print, progress=False)
    rows = frame[frame["kin"] == "control"]
    assert (rows["parameters"] == 0).all()
    localizer = Localizer.from_pretrained(tmp_path / "runs/fold0/mgffnet/model")
    split = small_task.splits["test"]
    queries = split.queries
    for pair, row in enumerate(rows.itertuples()):
        own, reference = split[pair]
        turned = queries[(split.pairs[pair][0] + len(queries) // 2) % len(queries) :] + queries
        asked = next(query for query in turned if query.label != own.label)
        found = localizer.localize(asked, reference)
        assert next(iter(found)) == pytest.approx((row.start_s, row.end_s))
        truth = temporal_iou(found.bounds, reference.segments_of(own.label)).max().item()
        assert (row.query_id, row.label, row.tiou) == (own.video_id, own.label, pytest.approx(truth))


def test_further_seeds_have_folders_of_their_own(tmp_path):
    chosen = plan("window-rule", "mgffnet", seeds={"mgffnet": 3})
    frame = run_benchmark(chosen, tmp_path, print, progress=False)
    seeds = frame.groupby("system", sort=False)["seed"].agg(lambda column: sorted(set(column)))
    assert seeds.tolist() == [[0], [0, 1, 2]]
    folder = tmp_path / "runs/fold0"
    places = [folder / "mgffnet", folder / "seed1" / "mgffnet", folder / "seed2" / "mgffnet"]
    models = {(place / "model" / "model.safetensors").read_bytes() for place in places}
    assert len(models) == 3
    first = run_benchmark(
        plan("window-rule", "mgffnet"), tmp_path, lambda _: pytest.fail("done"), progress=False
    )
    pd.testing.assert_frame_equal(first, frame[frame["seed"] == 0].reset_index(drop=True))


def test_audit_rows_ask_a_rule_something_else_and_go_on_where_they_were_interrupted(tmp_path, small_task):
    chosen = plan("window-rule-best", "audit-another-class", "audit-backwards", "alignment")
    said = []
    frame = run_benchmark(chosen, tmp_path, said.append, progress=False)
    split = small_task.splits["test"]
    own = [query for query, _ in (split[index] for index in range(len(split)))]
    asked = {"audit-another-class": another_class(split), "audit-backwards": [*map(backwards, own)]}
    for name, queries in asked.items():
        control = find_system(name)
        rule = find_system(control.of).fit(small_task)
        rows = frame[frame["system"] == control.row]
        assert (len(rows), set(rows["kin"])) == (len(split), {"audit"})
        assert not rows["parameters"].any()
        for pair, row in enumerate(rows.itertuples()):
            found = rule.localize(queries[pair], split[pair][1])
            assert (row.start_s, row.end_s) == pytest.approx(next(iter(found)))
            truths = split[pair][1].segments_of(own[pair].label)
            assert row.query_id == own[pair].video_id
            assert row.tiou == pytest.approx(temporal_iou(found.bounds[:1], truths).max().item())
    (tmp_path / "runs/fold0/audit-backwards.csv").unlink()
    del said[:]
    again = run_benchmark(chosen, tmp_path, said.append, progress=False)
    assert said == ["synthetic, fold 0: audit-backwards"]
    timed = ["seconds", "train_s"]
    pd.testing.assert_frame_equal(again.drop(columns=timed), frame.drop(columns=timed))
