"""Single steps against whole clips: the paper's phenomenon, its oracles, and sets made to show it or not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from tests.report.pictures import count
from vreloc_pyg import cli
from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit, StoredQuery, StoredReference
from vreloc_pyg.errors import DataError
from vreloc_pyg.experiments.phenomenon import (
    ALL_STEPS,
    BEST_STEP,
    CLIP_MEANS,
    COMPARED,
    MOST_PAIRS,
    NUM_STEPS,
    ONE_STEP,
    OTHER_STEP,
    SIMILARITIES,
    auroc,
    class_table,
    clip_similarities,
    measure_phenomenon,
    phenomenon_table,
    rank_correlation,
)
from vreloc_pyg.experiments.phenomenon_report import write_phenomenon
from vreloc_pyg.report.plots import TRUTH

ALIKE = {
    "cosine": lambda a, b: float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))),
    "distance": lambda a, b: -float(np.linalg.norm(a - b)),
}
BEST_STEPS = COMPARED[4]


def split_of(clips, per_reference=1):
    """A split of ``clips``: (label, source, features), each a query and, among noise, an instance."""
    queries = [Query(features, 1.0, label, f"q-{source}", (source,)) for label, source, features in clips]
    references = []
    for label, source, features in clips:
        padded = torch.cat([torch.randn(3, features.size(1)), features, torch.randn(4, features.size(1))])
        span = torch.tensor([[3.0, 3.0 + len(features)]])
        references.append(Reference(padded, 1.0, span, (label,), f"r-{source}", (source,)))
    return RelocalizationSplit("made", queries, references, [])


def table_of(clips, **options):
    return phenomenon_table(class_table(measure_phenomenon([split_of(clips)], **options)))


def row(table, compared, similarity="distance"):
    return table.set_index(["similarity", "compared"]).loc[(similarity, compared)]


@given(st.integers(1, 25), st.integers(1, 25), st.integers(0, 1000))
def test_similarities_are_those_of_loops_over_steps(num_query, num_other, seed):
    rng = np.random.default_rng(seed)
    query, other = rng.normal(size=(num_query, 3)), rng.normal(size=(num_other, 3))
    found = clip_similarities(torch.from_numpy(query), torch.from_numpy(other))
    at = [[round((n - 1) * s / (NUM_STEPS - 1)) for s in range(NUM_STEPS)] for n in (num_query, num_other)]
    assert set(found) == {(name, compared) for name in SIMILARITIES for compared in COMPARED}
    for name, alike in ALIKE.items():
        aligned = [alike(query[i], other[j]) for i, j in zip(*at, strict=True)]
        best = [max(alike(query[i], step) for step in other) for i in at[0]]
        half = NUM_STEPS // 2
        away = [alike(query[i], other[j]) for i, j in zip(at[0], at[1][half:] + at[1][:half], strict=True)]
        expected = {ONE_STEP: aligned, OTHER_STEP: away, BEST_STEP: best, ALL_STEPS: [np.mean(aligned)]}
        expected |= {BEST_STEPS: [np.mean(best)], CLIP_MEANS: [alike(query.mean(0), other.mean(0))]}
        for compared, values in expected.items():
            np.testing.assert_allclose(found[name, compared].numpy(), values, atol=1e-9)


VALUES = st.lists(st.integers(-3, 3), min_size=1, max_size=8)


@given(VALUES, VALUES)
def test_auroc_counts_pairs(positive, negative):
    wins = [(one > other) + 0.5 * (one == other) for one in positive for other in negative]
    found = auroc(np.array(positive, dtype=float), np.array(negative, dtype=float))
    assert found == pytest.approx(np.mean(wins))


def test_correlation_is_spearmans_or_unknown():
    rng = np.random.default_rng(0)
    one, other = rng.integers(5, size=(2, 40)).astype(float)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert np.isnan(rank_correlation(one, np.ones(40)))


def shuffled(num_clips=12, steps=NUM_STEPS):
    """Every clip of a class has the same steps, in an order of its own."""
    rng = np.random.default_rng(3)
    clips = []
    for label in "abcd":
        parts = torch.from_numpy(rng.normal(size=(steps, 4)).astype(np.float32))
        for number in range(num_clips):
            clips.append((label, f"{label}{number}", parts[rng.permutation(steps)]))
    return clips


def test_the_phenomenon_is_found_where_actions_are_shuffled():
    table = table_of(shuffled())
    for similarity in SIMILARITIES:
        assert row(table, CLIP_MEANS, similarity)["AUROC"] == pytest.approx(1)
        assert row(table, BEST_STEP, similarity)["AUROC"] == pytest.approx(1)  # the step is there, elsewhere
        assert row(table, ONE_STEP, similarity)["behind clip means low"] > 0.2
        here, there = (row(table, compared, similarity)["AUROC"] for compared in (ONE_STEP, OTHER_STEP))
        assert here == pytest.approx(there, abs=0.05)


def test_it_is_reversed_where_order_alone_tells_classes_apart():
    """One class rises where the other falls: their means are the same."""
    rise = torch.linspace(-1, 1, 20)[:, None].expand(20, 2)
    clips = [
        (label, f"{label}{number}", sign * rise + 0.05 * torch.randn(20, 2))
        for label, sign in (("rises", 1), ("falls", -1))
        for number in range(10)
    ]
    table = table_of(clips)
    assert row(table, ALL_STEPS)["AUROC"] == 1
    assert row(table, ONE_STEP)["AUROC"] > 0.9 > 0.1 > row(table, OTHER_STEP)["AUROC"]
    assert row(table, ONE_STEP)["behind clip means"] < -0.2
    assert 0.3 < row(table, CLIP_MEANS)["AUROC"] < 0.7


def test_clips_of_one_source_are_never_compared():
    """Each query is in the reference of its own source, and nothing else is like it."""
    clips = [(label, f"{label}{i}", torch.randn(9, 30)) for label in "ab" for i in range(5)]
    found = measure_phenomenon([split_of(clips)])
    for one in found.values():
        assert len(one.same["cosine", CLIP_MEANS]) == 5 * 4
        assert max(values.max() for key, values in one.same.items() if key[0] == "cosine") < 0.9
        assert len(one.different["cosine", ONE_STEP]) == MOST_PAIRS


def test_the_seed_decides_which_of_many_pairs_are_compared():
    clips = [(label, f"{label}{i}", torch.randn(4, 3)) for label in "ab" for i in range(60)]
    split = split_of(clips)
    one, again, other = (measure_phenomenon([split], seed) for seed in (0, 0, 1))
    for label in "ab":
        key = "distance", CLIP_MEANS
        assert one[label].same[key].shape == (MOST_PAIRS, 1)
        assert (one[label].same[key] == again[label].same[key]).all()
        assert not (one[label].same[key] == other[label].same[key]).all()


class Counted:
    """Features in a store, which counts how often it is read."""

    reads = 0

    def __init__(self, features):
        self.features, self.num_steps = features, len(features)

    def read(self):
        Counted.reads += 1
        return self.features


def test_stored_features_give_the_same_and_are_read_once():
    split = split_of([(label, f"{label}{i}", torch.randn(5, 3)) for label in "ab" for i in range(4)])
    stored = replace(
        split,
        queries=[
            StoredQuery(Counted(q.features), 1.0, q.label, q.video_id, q.sources) for q in split.queries
        ],
        references=[
            StoredReference(Counted(r.features), 1.0, r.segments, r.labels, r.video_id, r.sources)
            for r in split.references
        ],
    )
    Counted.reads = 0
    pd.testing.assert_frame_equal(
        class_table(measure_phenomenon([stored])), class_table(measure_phenomenon([split]))
    )
    assert Counted.reads == 2 * 8  # a query and an instance for each clip


def test_a_class_of_one_source_is_left_out_and_two_are_needed(tmp_path):
    clips = [(label, f"{label}{i}", torch.randn(4, 3)) for label in "ab" for i in range(3)]
    alone = ("c", "c0", torch.randn(4, 3))
    write_phenomenon([split_of([*clips, alone])], tmp_path, "made", "vreloc phenomenon")
    text = (tmp_path / "phenomenon.md").read_text()
    assert "Left out, since no two of their clips can be paired: c." in text
    with pytest.raises(DataError, match=r"at least two classes .*\(got a of a, c\)"):
        measure_phenomenon([split_of([*clips[:3], alone])])


def test_means_over_classes_have_t_intervals():
    values = {"a": (0.6, 0.5, 0.1), "b": (0.7, 0.7, 0.3), "c": (0.8, 0.6, np.nan)}  # whole, step, correlation
    rows = [
        {"class": name, "similarity": "cosine", "compared": compared, "AUROC": area, "correlation": alike}
        for name, (whole, step, alike) in values.items()
        for compared, area in ((kind, whole if kind == CLIP_MEANS else step) for kind in COMPARED)
    ]
    table = phenomenon_table(pd.DataFrame(rows))
    whole, step = row(table, CLIP_MEANS, "cosine"), row(table, ONE_STEP, "cosine")
    # Student's t of 2 and of 1 degrees of freedom is 4.303 and 12.706 at 97.5 %.
    assert whole["AUROC"] == pytest.approx(0.7)
    assert whole["AUROC high"] - 0.7 == pytest.approx(4.303 * 0.1 / 3**0.5, rel=1e-3)
    assert 0.7 - whole["AUROC low"] == pytest.approx(4.303 * 0.1 / 3**0.5, rel=1e-3)
    assert step["behind clip means"] == pytest.approx(0.1)
    assert step["behind clip means high"] - 0.1 == pytest.approx(4.303 * 0.1 / 3**0.5, rel=1e-3)
    assert step["correlation"] == pytest.approx(0.2)
    assert step["correlation high"] - 0.2 == pytest.approx(12.706 * 0.2**0.5 * 0.1**0.5 / 2**0.5, rel=1e-3)
    assert np.isnan(whole["behind clip means"])
    assert step["classes"] == 3


@pytest.mark.parametrize(
    ("clips", "verdict"),
    [(shuffled(), "is behind the clip means"), (None, "is ahead of the clip means")],
)
def test_the_report_says_what_was_found(clips, verdict, tmp_path):
    if clips is None:  # order alone tells four classes apart
        base = torch.linspace(-1, 1, 16)[:, None]
        shapes = [base, -base, base.abs() - base.abs().mean(), base.abs().mean() - base.abs()]
        clips = [
            (f"c{c}", f"c{c}-{i}", shape + 0.05 * torch.randn(16, 2))
            for c, shape in enumerate(shapes)
            for i in range(6)
        ]
    write_phenomenon([split_of(clips)], tmp_path, "made", "vreloc phenomenon --data made")
    text = (tmp_path / "phenomenon.md").read_text()
    assert verdict in text
    assert "vreloc phenomenon --data made" in text


def test_the_command_writes_tables_and_a_picture(tmp_path, capsys):
    output = tmp_path / "phenomenon"
    assert cli.main(["phenomenon", "--output", str(output), "--seed", "3"]) == 0
    printed = capsys.readouterr().out
    assert f"Read {output / 'phenomenon.md'}" in printed
    report = (output / "phenomenon.md").read_text()
    assert f"vreloc phenomenon --data synthetic --seed 3 --output {output}" in report
    assert printed.splitlines()[2] in report
    classes, table = pd.read_csv(output / "classes.csv"), pd.read_csv(output / "phenomenon.csv")
    assert len(classes) == 11 * 2 * len(COMPARED)  # of 11 classes in all splits
    assert set(table["classes"]) == {11}
    mean = classes[(classes["similarity"] == "cosine") & (classes["compared"] == ONE_STEP)]["AUROC"].mean()
    assert row(table, ONE_STEP, "cosine")["AUROC"] == pytest.approx(mean)
    assert count(output / "phenomenon.png", TRUTH) > 200
    assert cli.main(["phenomenon", "--output", str(output), "--split", "test"]) == 0
    assert set(pd.read_csv(output / "phenomenon.csv")["classes"]) == {3}
