from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from tests.datasets.conftest import moving_clip
from vreloc_pyg.datasets.composer import Composer
from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation import evaluate, recall, result_table
from vreloc_pyg.experiments.audit import check_audit
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.sequences.pose import PENN_SKELETON, pose_features
from vreloc_pyg.systems.catalog import every_system
from vreloc_pyg.systems.rules.audit import (
    APART,
    AT_START,
    BACKWARDS,
    BY_JERK,
    BY_LOOK,
    BY_SPEED,
    CONTEXT,
    DETECTORS,
    KNOWN_JOINS,
    NEAREST_LENGTH,
    join_strength,
    joins_of,
    played_backwards,
    stretches,
    strongest,
)
from vreloc_pyg.systems.rules.window_rule import BEST_WINDOW_RULE


def reference(segments, labels, joins=(), num_steps=60):
    return Reference(torch.randn(num_steps, 4), 0.5, torch.tensor(segments), labels, "r", joins=joins)


def test_joins_are_told_and_else_the_ends_of_instances():
    assert joins_of(reference([[1.0, 5.0]], ("a",), (2, 12, 2))).tolist() == [2, 12]
    assert joins_of(reference([[1.0, 5.0], [5.0, 8.0]], ("a", "b"))).tolist() == [2, 10, 16]


def test_stretches_lead_from_any_cut_to_a_later_one():
    found = stretches(torch.tensor([5, 9]), 20, longest=12)
    assert found.tolist() == [[0, 5], [0, 9], [5, 9], [9, 20]]
    assert stretches(torch.tensor([], dtype=torch.long), 20, longest=12).tolist() == [[0, 20]]


def test_a_change_is_strongest_where_the_level_changes():
    channel = torch.cat([torch.zeros(30, 2), torch.ones(30, 2)])
    strength = join_strength(channel, "change")
    assert len(strength) == 61
    assert int(strength.argmax()) == 30
    assert strength[: 30 - CONTEXT + 1].abs().max() == 0
    peaked = torch.zeros(60, 1)
    peaked[20] = 1
    assert int(join_strength(peaked, "most").argmax()) in (20, 21)
    assert int(join_strength(-peaked, "least").argmax()) in (20, 21)


def test_the_strongest_places_are_apart():
    strength = torch.tensor([0.0, 9, 8, 7, 6, 5, 4, 3, 2, 1])
    assert strongest(strength, 2).tolist() == [1, 1 + APART]
    assert strongest(strength, 0).tolist() == []


def task():
    clips = [
        moving_clip(30, label, f"{label}{number}", 10 * seed + number)
        for seed, label in enumerate("abc")
        for number in range(4)
    ]
    composer = Composer(num_distractors=(2, 3))
    splits = {
        name: composer.split(name, clips, 12, PENN_SKELETON, 0.1, seed, 4)
        for seed, name in enumerate(("train", "validation", "test"))
    }
    return TaskData("composed", splits, SlidingWindows(8, 60), PENN_SKELETON)


def test_whoever_knows_the_joins_is_ahead_of_who_looks_for_them_in_vain():
    data = task()
    systems = [one.fit(data) for one in (BEST_WINDOW_RULE, KNOWN_JOINS, NEAREST_LENGTH, AT_START, *DETECTORS)]
    frame = evaluate(systems, data.splits["test"], [recall(0.5), recall(0.7)], progress=False)
    overlap = frame[frame["kind"] == "answer"].groupby("system")["tiou"].mean()
    assert overlap[KNOWN_JOINS.row] > max(overlap[one.row] for one in DETECTORS)
    assert overlap[AT_START.row] < 0.2
    exact = frame[(frame["system"] == NEAREST_LENGTH.row) & (frame["kind"] == "answer")]["tiou"]
    assert set(exact.round(6)) <= {0.0, 1.0}


@pytest.mark.parametrize(("detector", "change"), [(BY_LOOK, "size"), (BY_JERK, "jitter"), (BY_SPEED, "pace")])
def test_a_detector_finds_a_join_that_can_be_seen(detector, change):
    """Two joins of one steady motion, at which one thing changes."""
    rng, steps = np.random.default_rng(0), torch.arange(60.0)
    between = (steps >= 20) & (steps < 40)
    time = torch.where(between & (change == "pace"), 4.0, 1.0).cumsum(0) / 5
    pose = torch.from_numpy(rng.normal(size=(1, 13, 2))) + time[:, None, None] / 5
    if change == "size":
        pose[between] *= 1.5
    if change == "jitter":
        pose[between] += 0.1 * torch.from_numpy(rng.normal(size=(20, 13, 2)))
    features = torch.from_numpy(pose_features(pose.numpy()))
    one = Reference(features, 0.1, torch.empty(0, 2), (), "r")
    data = TaskData("d", {"validation": task().splits["validation"]}, SlidingWindows(8, 60), PENN_SKELETON)
    found = replace(detector.fit(data), joins={"r": torch.tensor([20, 40])})
    cuts = strongest(join_strength(found.channel(features), found.by), 2)
    assert (cuts - torch.tensor([20, 40])).abs().max() <= 3
    answers = found.localize(Query(features[20:40], 0.1, "", "q"), one, top_n=6)
    assert {round(10 * bound) for bound in answers.bounds.flatten().tolist()} == {0, *cuts.tolist(), 60}


def test_a_set_that_gives_itself_away_is_refused():
    rows = {BEST_WINDOW_RULE.row: (20.0, 5.0), **{one.row: (10.0, 5.0) for one in DETECTORS}}
    results = pd.DataFrame([{"system": name, "R@1(0.7)": x, "R@1(0.9)": y} for name, (x, y) in rows.items()])
    check_audit(results, "mine")
    results.loc[results["system"] == BY_LOOK.row, "R@1(0.9)"] = 5.1
    with pytest.raises(
        DataError, match=r"mine gives away where .* 'joins by change of look \+ rule' has R@1\(0\.9\)"
    ):
        check_audit(results, "mine")


def test_a_query_played_backwards_has_turned_velocities():
    data = task()
    split = data.splits["test"]
    turned = played_backwards(split, data)
    assert len(turned) == len(split)
    for asked, (query, _) in zip(turned, (split[i] for i in range(len(split))), strict=True):
        pose = query.features[:, :26].flip(0).view(-1, 13, 2).double().numpy()
        torch.testing.assert_close(asked.features, torch.from_numpy(pose_features(pose)), atol=1e-5, rtol=0)
    plain = TaskData("plain", data.splits, data.proposals)
    assert torch.equal(played_backwards(split, plain)[0].features, split[0][0].features.flip(0))


def test_every_audit_row_stands_aside():
    audits = [one for one in every_system() if one.kin == "audit"]
    assert {one.name for one in (*DETECTORS, KNOWN_JOINS, BACKWARDS)} <= {one.name for one in audits}
    assert not any(one.in_readme for one in audits)
    assert isinstance(BY_LOOK.fit(task()).localize(*asked_without_answers(task())).bounds, torch.Tensor)


def asked_without_answers(data) -> tuple[Query, Reference]:
    query, shown = data.splits["test"][0]
    return query.unlabelled(), shown.unannotated()


def test_audit_rows_are_in_the_table_of_results():
    data = task()
    frame = evaluate([BEST_WINDOW_RULE.fit(data), AT_START.fit(data)], data.splits["test"], progress=False)
    assert result_table(frame).set_index("system").loc[AT_START.row, "kin"] == "audit"
