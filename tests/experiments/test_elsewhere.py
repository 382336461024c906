"""A system that is trained on the other data sets of a suite."""

from dataclasses import replace

import pytest
import torch

from tests.datasets.own_set import write_own_set
from tests.experiments.conftest import TINY
from vreloc_pyg.checkpoint import load_weights
from vreloc_pyg.datasets import TASKS, load_task
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.experiments import runs
from vreloc_pyg.experiments.budget import measure_pace
from vreloc_pyg.experiments.elsewhere import leave_out, load_others, other_roots, synonyms
from vreloc_pyg.experiments.plan import BenchmarkPlan
from vreloc_pyg.experiments.runs import run_benchmark
from vreloc_pyg.experiments.train import train_system
from vreloc_pyg.localization import Localizer
from vreloc_pyg.systems.catalog import SYSTEMS, find_learned
from vreloc_pyg.systems.spec import Traits

SUITE = ("here", "plane", "space")
SMALL = {"hidden_channels": 8}


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """Three pose data sets side by side, and the system of their suite; returns the folder above them."""
    for name, dims in zip(SUITE, (3, 2, 3), strict=True):
        write_own_set(tmp_path / name, dims)
        monkeypatch.setitem(TASKS, name, replace(TASKS["folder"], name=name))
    monkeypatch.setitem(SYSTEMS, "mgffnet-elsewhere", replace(find_learned("mgffnet-elsewhere"), suite=SUITE))
    monkeypatch.delenv("VRELOC_DATA", raising=False)
    return tmp_path


def test_the_others_lie_beside_the_one_left_out_or_where_data_are(tmp_path, monkeypatch):
    monkeypatch.delenv("VRELOC_DATA", raising=False)
    names, root = ("utkinect", "jhmdb", "penn_action"), tmp_path / "some" / "kinect"
    (root.parent / "jhmdb").mkdir(parents=True)
    with pytest.raises(DataError, match=rf"penn_action too, which is not at {root.parent}/penn_action; put"):
        other_roots(names, "utkinect", root)
    (tmp_path / "penn_action").mkdir()
    monkeypatch.setenv("VRELOC_DATA", str(tmp_path))
    found = other_roots(names, "utkinect", root)
    assert found == {"jhmdb": root.parent / "jhmdb", "penn_action": tmp_path / "penn_action"}
    with pytest.raises(SettingsError, match=r"utkinect, jhmdb, penn_action, of which .*got 'synthetic'"):
        other_roots(names, "synthetic", root)


def test_a_set_that_is_missing_is_noticed_by_the_plan(tmp_path, monkeypatch):
    monkeypatch.delenv("VRELOC_DATA", raising=False)
    with pytest.raises(DataError, match="utkinect is to be trained on penn_action too"):
        BenchmarkPlan("utkinect", str(tmp_path / "utkinect"), systems=("mgffnet-elsewhere",))
    with pytest.raises(SettingsError, match="got 'synthetic'"):
        BenchmarkPlan("synthetic", systems=("mgffnet-elsewhere",))


def test_the_model_is_that_of_the_other_sets_put_on_this_one(suite, tmp_path, monkeypatch):
    plan = BenchmarkPlan(
        "here",
        str(suite / "here"),
        systems=("mgffnet-elsewhere",),
        training={"all": TINY},
        model={"mgffnet-elsewhere": SMALL},
    )
    frame = run_benchmark(plan, tmp_path / "out", print, progress=False)
    others = [load_task(name, suite / name) for name in SUITE[1:]]
    train_system("mgffnet-elsewhere", others, tmp_path / "own", SMALL, {**TINY, "seed": 0}, progress=False)
    data = load_task("here", suite / "here")
    expected = Localizer.from_pretrained(tmp_path / "own/model", data.proposals, adapt_to=Traits.of(data))
    network = find_learned("mgffnet").build(Traits.of(others[0]), SMALL)
    load_weights(tmp_path / "out/runs/fold0/mgffnet-elsewhere/model", network)
    for name, value in expected.ranker.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)
    for index, row in enumerate(frame[frame["kind"] == "answer"].itertuples()):
        found = expected.localize(*data.splits["test"][index])
        assert next(iter(found)) == pytest.approx((row.start_s, row.end_s), abs=1e-3)
    monkeypatch.setattr(runs, "load_others", None)  # nothing is read again
    assert len(run_benchmark(plan, tmp_path / "out", print, progress=False)) == len(frame)


def test_the_pace_is_that_of_all_its_sets(suite):
    others = load_others(SUITE, load_task("here", suite / "here"), suite / "here", fold=0, seed=0)
    pace = measure_pace(find_learned("mgffnet-elsewhere"), others, SMALL, TINY)
    assert pace.num_pairs == 2 * TINY["validation_pairs"]


@pytest.mark.parametrize("names", [("here",), SUITE, ("here", "folder")])
def test_a_model_that_leaves_out_none_or_several_is_refused(suite, names, tmp_path):
    sets = [load_task(name, suite / ("here" if name == "folder" else name)) for name in names]
    with pytest.raises(SettingsError, match=r"all but one of here, plane, space \(got .*here"):
        train_system("mgffnet-elsewhere", sets, tmp_path)


def test_what_is_asked_here_is_not_taught_there(suite, monkeypatch):
    """By no name: what this set calls e, another calls a."""
    monkeypatch.setattr("vreloc_pyg.experiments.elsewhere.SAME_ACTIONS", (frozenset("ae"), frozenset("cf")))
    assert synonyms({"e"}) == frozenset("ae")
    assert synonyms({"b", "f"}) == frozenset("bcf")
    data = load_task("here", suite / "here")  # trains on a and b, validates with c and d, asks about e and f
    for other in load_others(SUITE, data, suite / "here", fold=0, seed=0):
        assert other.splits["train"].classes == ("b",)
        validation = other.splits["validation"]
        assert {validation.queries[query].label for query, _ in validation.pairs} == {"d"}


def test_a_class_left_out_is_not_even_background(suite):
    data = load_task("plane", suite / "plane")
    whole = {one.video_id: one for one in data.splits["train"].references}
    parts = leave_out(data, "a").splits["train"].references
    assert parts
    for part in parts:
        assert set(part.labels) == {"b"}
        origin = next(one for one in whole.values() if part.video_id.startswith(one.video_id))
        first = round((part.offset_s - origin.offset_s) / origin.seconds_per_step)
        assert torch.equal(origin.features[first : first + part.num_steps], part.features)
        for start, end in origin.steps_of("a").tolist():
            assert end <= first or start >= first + part.num_steps
    for classes, what in (("ab", "training"), ("cd", "validation")):
        with pytest.raises(DataError, match=f"the {what} classes of plane leave nothing to ask for"):
            leave_out(data, classes)
