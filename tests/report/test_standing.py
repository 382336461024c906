import numpy as np
import pytest

from tests.results import frame_of
from vreloc_pyg.evaluation import difference_table, recall, result_table
from vreloc_pyg.report.standing import standing

OURS, CNN = "MGFFNet (recommended)", "MGFFNet (CNN)"
KINS = {OURS: "own", CNN: "ablation", "oracle": "audit"}


def said(hits, thresholds=(0.5, 0.9)):
    """What is said of ours, from the hits of every system at each threshold."""
    parts = []
    for system, own in hits.items():
        part = frame_of(system, [0.0] * len(own[0]), kin=KINS.get(system, "rival"), thresholds=())
        columns = {f"R@1({t:g})": np.array(hit, float) for t, hit in zip(thresholds, own, strict=True)}
        parts.append(part.assign(**columns))
    metrics = list(map(recall, thresholds))
    tables = result_table(parts, metrics), difference_table(parts, OURS, metrics, turned=True)
    *sentences, table = standing(*tables, OURS, thresholds)
    return sentences, table.splitlines()[2:]


def test_clearly_first_at_one_threshold_and_last_at_the_other():
    sentences, rows = said({"a": ([0] * 20, [1] * 20), OURS: ([1] * 20, [0] * 20)})
    assert sentences == [
        f"Among all other systems, {OURS} is **first** at tIoU > 0.5; the interval of its lead over the next "
        "is above 0 at each of them."
    ]
    assert rows == [
        "| > 0.5 | 100.0 | 1 of 2 | a | 0.0 | +100.0 [+100.0, +100.0] |",
        "| > 0.9 | 0.0 | 2 of 2 | a | 100.0 | -100.0 [-100.0, -100.0] |",
    ]


def test_a_tie_is_not_first():
    sentences, rows = said({OURS: ([1, 0], [0, 0]), "a": ([0, 1], [0, 0])})
    assert sentences == [f"Among all other systems, {OURS} is first at no threshold."]
    assert [row.split(" | ")[2] for row in rows] == ["1 of 2 (tied)"] * 2


def test_a_lead_whose_interval_holds_0_is_said_to_be_open():
    sentences, _ = said({OURS: ([1, 1, 0, 0], [1, 0, 0, 0]), "a": ([0, 0, 1, 0], [0, 0, 0, 0])})
    assert sentences == [
        f"Among all other systems, {OURS} is **first** at all 2 thresholds; but every interval of its lead "
        "over the next holds 0."
    ]


def test_ablations_are_competitors_of_their_own():
    hits = {OURS: ([1] * 10, [1] * 10), CNN: ([1] * 10, [0] + [1] * 9), "a": ([0] * 10, [0] * 10)}
    sentences, rows = said(hits)
    assert "every interval of its lead over the next holds 0" in sentences[0]
    assert sentences[0].startswith(f"Among all other systems, {OURS} is **first** at tIoU > 0.9; but")
    assert sentences[1].startswith(f"Among systems that are not its ablations, {OURS} is **first** at all 2")
    assert [row.split(" | ")[4] for row in rows] == [CNN, CNN, "a", "a"]


@pytest.mark.parametrize("rival", [CNN, "a"])
def test_one_group_where_there_are_only_ablations_or_none(rival):
    sentences, rows = said({OURS: ([1], [1]), rival: ([0], [0])})
    assert (len(sentences), len(rows)) == (1, 2)
    assert sentences[0].endswith("all 2 thresholds; how far a lead holds for other classes is unknown.")
    assert rows[0].endswith("| +100.0 |")  # of one class there is no interval


def test_audit_rows_are_no_competitors():
    hits = {"a": ([0] * 3, [0] * 3), OURS: ([0, 1, 1], [0, 1, 1]), "oracle": ([1] * 3, [1] * 3)}
    sentences, rows = said(hits)
    assert [row.split(" | ")[3] for row in rows] == ["a", "a"]
    assert sentences[0].startswith(f"Among all other systems, {OURS} is **first** at all 2")
