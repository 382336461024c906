"""The alignment against loops over its definition, and what each of its parts does."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.small_runs import DATA
from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.sequences.pose import Skeleton, mirror_image
from vreloc_pyg.systems.rules import alignment_choice
from vreloc_pyg.systems.rules.alignment import Alignment, AlignmentSettings
from vreloc_pyg.systems.rules.alignment_choice import LEAST_GAIN, TRIED, fit_alignment, training_bank

SKELETON = Skeleton(num_joints=3, num_dims=2, centre=(0,), mirror=(0, 2, 1))
PLAIN = AlignmentSettings(normalize=False, length_weight=0, statistics_weight=0, bank_weight=0)


def noise(num_steps, seed, width=4):
    return torch.randn(num_steps, width, generator=torch.Generator().manual_seed(seed)).double()


def clip(features, video_id="q", label=""):
    return Query(features, 0.5, label, video_id)


def video(*parts, sources=()):
    return Reference(torch.cat(parts), 0.5, torch.zeros(0, 2), (), "r", sources)


def steps_of(answers):
    return (answers.bounds / 0.5).tolist()


def cheapest(table):
    """For every end the start and the mean over the query of its cheapest path, cell by cell."""
    best = {}
    for i in range(len(table)):
        for j in range(len(table[0])):
            found = [(table[i][j], j)] if i == 0 else []
            for (row, column), extra in {
                (i - 1, j - 1): table[i][j],
                (i - 1, j - 2): (table[i][j - 1] + table[i][j]) / 2,
                (i - 2, j - 1): table[i - 1][j] + table[i][j],
            }.items():
                if (row, column) in best:
                    cost, start = best[row, column]
                    found.append((cost + extra, start))
            if found:
                best[i, j] = min(found)
    last = len(table) - 1
    return {
        (best[last, j][1], j + 1): best[last, j][0] / len(table)
        for j in range(len(table[0]))
        if (last, j) in best
    }


def looped(query, reference, bank, settings):
    """Every candidate with its cost without the bank, and its distance to the bank."""
    table = [[float((a - b).norm()) for b in reference] for a in query]
    if settings.rows == "range":
        table = [[(value - min(row)) / (max(row) - min(row)) for value in row] for row in table]
    else:
        mean = np.mean(table)
        table = [[value / mean for value in row] for row in table]
    found = cheapest(table)
    statistics, near = {}, {}
    for start, end in found:
        part = reference[start:end]
        both = torch.cat(
            [part.mean(0) - query.mean(0), part.std(0, correction=0) - query.std(0, correction=0)]
        )
        statistics[start, end] = float(both.norm())
        distances = []
        for other in bank:
            a, b = (
                torch.stack([one[round(t * (len(one) - 1) / 7)] for t in range(8)]) for one in (part, other)
            )
            distances.append(float((a - b).norm()))
        near[start, end] = np.mean(sorted(distances)[: settings.bank_nearest])
    cost = {
        (start, end): path
        + settings.length_weight * abs(math.log((end - start) / len(query)))
        + settings.statistics_weight * statistics[start, end] / np.mean(list(statistics.values()))
        for (start, end), path in found.items()
    }
    return cost, near


@pytest.mark.parametrize("rows", ["plain", "range"])
@pytest.mark.parametrize("sizes", [(4, 15), (1, 6), (5, 3)])
def test_equals_the_loops(rows, sizes):
    settings = AlignmentSettings(rows, normalize=False, bank_weight=0.3, bank_nearest=2)
    query, reference = noise(sizes[0], 1), noise(sizes[1], 2)
    bank = [noise(5 + seed, 10 + seed) for seed in range(3)]
    cost, near = looped(query, reference, bank, settings)
    mean = np.mean(list(near.values()))
    expected = {window: cost[window] - 0.3 * near[window] / mean for window in cost}
    clips = tuple(clip(features, f"b{index}") for index, features in enumerate(bank))
    system = Alignment(settings, bank=clips, nms_threshold=None)
    answers = system.localize(clip(query), video(reference), top_n=99)
    found = dict(zip(map(tuple, steps_of(answers)), answers.scores.tolist(), strict=True))
    assert found == pytest.approx({window: -value for window, value in expected.items()}, abs=1e-5)


def test_only_what_suppression_leaves_is_compared_with_the_bank():
    query, reference = noise(5, 1), noise(40, 2)
    bank = (clip(noise(6, 3), "b"), clip(noise(7, 4), "c"))
    plain = Alignment(AlignmentSettings(bank_weight=0), bank=bank)
    banked = Alignment(AlignmentSettings(bank_weight=5), bank=bank)
    before, after = (one.localize(clip(query), video(reference), 99) for one in (plain, banked))
    assert steps_of(before) != steps_of(after)
    assert sorted(steps_of(before)) == sorted(steps_of(after))


@pytest.mark.parametrize("factor", [0.5, 1, 2])
def test_finds_a_copy_at_another_speed(factor):
    query = noise(12, 0)
    copy = {0.5: query[::2], 1: query, 2: query.repeat_interleave(2, dim=0)}[factor]
    answer = Alignment().localize(clip(query), video(noise(20, 1), copy, noise(20, 2)))
    truth = torch.tensor([[20.0, 20.0 + len(copy)]]) * 0.5
    assert float(temporal_iou(answer.bounds, truth)) > 0.8


def test_features_need_no_scale():
    query, reference = noise(8, 0), noise(60, 1)
    answers, scaled = (
        Alignment(AlignmentSettings(normalize=False)).localize(clip(k * query), video(k * reference), 5)
        for k in (1, 1000)
    )
    assert steps_of(answers) == steps_of(scaled)
    torch.testing.assert_close(answers.scores, scaled.scores)


def test_normalized_steps_have_no_length():
    query, reference = noise(6, 0), noise(50, 1)
    louder = reference * torch.linspace(1, 9, 50).unsqueeze(1)
    for normalize in (True, False):
        system = Alignment(AlignmentSettings(normalize=normalize))
        same = steps_of(system.localize(clip(query), video(reference), 5)) == steps_of(
            system.localize(clip(query), video(louder), 5)
        )
        assert same == normalize


def test_of_a_pose_velocities_and_its_mirror_image_are_switches():
    width = SKELETON.num_features
    query, before, after = noise(9, 0, width), noise(15, 1, width), noise(15, 2, width)
    other = mirror_image(query, *SKELETON.mirror_features())

    def found(**switches):
        reference = video(before, other, after)
        return steps_of(Alignment(AlignmentSettings(**switches), SKELETON).localize(clip(query), reference))

    assert found() == [[15, 24]]
    assert found(mirror=False) != [[15, 24]]
    other[:, width // 2 :] = 100  # velocities
    assert found() != [[15, 24]]
    assert found(velocities=False) == [[15, 24]]
    with pytest.raises(SettingsError, match=r"12 pose features \(got 4\)"):
        Alignment(skeleton=SKELETON).localize(clip(noise(5, 0)), video(noise(9, 1)))


def test_what_is_like_a_training_clip_too_is_a_worse_answer():
    query = noise(8, 0)
    decoy = query + 0.1 * noise(8, 5)
    answer = query + 0.12 * noise(8, 6) + 0.3
    reference = video(noise(20, 1), decoy, noise(20, 2), answer, noise(20, 3))
    settings = replace(PLAIN, bank_weight=0.5, bank_nearest=1)
    bank = (clip(decoy, "b"), clip(noise(8, 7), "c"))
    assert steps_of(Alignment(settings).localize(clip(query), reference)) == [[20, 28]]
    assert steps_of(Alignment(settings, bank=bank).localize(clip(query), reference)) == [[48, 56]]
    # Had the decoy been cut out of the reference, the bank would tell where the reference shows what.
    own = Alignment(settings, bank=bank).localize(clip(query), replace(reference, sources=("b", "c")))
    assert steps_of(own) == [[20, 28]]


def test_a_bank_holds_clips_of_every_training_class():
    queries = [clip(noise(3, i), f"v{i // 2}", f"class{i % 20 // 2}") for i in range(600)]
    split = RelocalizationSplit("train", queries, [], [])
    bank = training_bank(split)
    counts = [sum(one.label == f"class{k}" for one in bank) for k in range(10)]
    assert counts == [12] * 10
    assert len({one.video_id for one in bank}) == len(bank)
    many = RelocalizationSplit("train", [replace(one, label=one.video_id) for one in queries], [], [])
    assert len(training_bank(many)) == 240
    assert training_bank(RelocalizationSplit("train", [], [], [])) == ()


def mean_overlaps(system, split):
    found = {}
    for query, reference in map(split.__getitem__, range(len(split))):
        answer = system.localize(query, reference)
        overlap = temporal_iou(answer.bounds, reference.segments_of(query.label)).max()
        found.setdefault(query.label, []).append(float(overlap))
    return {label: np.mean(values) for label, values in found.items()}


@pytest.fixture(scope="module")
def lengths_matter():
    """Two classes whose answers are as long as the query, beside faster copies that are nearer to it."""
    queries, references = [], []
    for index in range(8):
        query = noise(6, 10 * index, 8).repeat_interleave(2, dim=0)
        slow, fast = (
            query + 0.3 * noise(12, 10 * index + 1, 8),
            query[::2] + 0.22 * noise(6, 10 * index + 2, 8),
        )
        parts = [
            noise(9, 10 * index + 3, 8),
            fast,
            noise(9, 10 * index + 4, 8),
            slow,
            noise(9, 10 * index + 5, 8),
        ]
        label = ("run", "jump")[index % 2]
        queries.append(clip(query, f"q{index}", label))
        bounds = torch.tensor([[24.0, 36.0]]) * 0.5
        references.append(Reference(torch.cat(parts), 0.5, bounds, (label,), f"r{index}"))
    split = RelocalizationSplit("validation", queries, references, [(i, i) for i in range(8)])
    return replace(
        DATA, splits={"train": DATA.splits["train"], "validation": split}
    )  # there is no test split


def test_a_choice_adds_to_every_class_until_nothing_does(lengths_matter, monkeypatch):
    monkeypatch.setattr(alignment_choice, "Alignment", lambda **given: Alignment(PLAIN, **given))
    chosen = fit_alignment(lengths_matter)
    split = lengths_matter.splits["validation"]
    before, after = mean_overlaps(replace(chosen, settings=PLAIN), split), mean_overlaps(chosen, split)
    assert chosen.settings.length_weight > 0
    assert min(after[label] - before[label] for label in after) >= LEAST_GAIN
    for name in ("rows", "length_weight", "statistics_weight", "bank_weight"):
        for value in TRIED[name]:
            other = replace(chosen, settings=replace(chosen.settings, **{name: value}))
            found = mean_overlaps(other, split)
            assert min(found[label] - after[label] for label in found) < LEAST_GAIN


def test_without_validation_pairs_the_defaults_stand(lengths_matter):
    empty = RelocalizationSplit("validation", [], [], [])
    data = replace(lengths_matter, splits={**lengths_matter.splits, "validation": empty})
    assert fit_alignment(data).settings == AlignmentSettings()


@pytest.mark.parametrize(
    ("setting", "value"),
    [("rows", "columns"), ("length_weight", -1), ("statistics_weight", math.nan), ("bank_nearest", 0)],
)
def test_impossible_settings_are_refused(setting, value):
    with pytest.raises(SettingsError, match=rf"{setting} .*\(got {value!r}"):
        AlignmentSettings(**{setting: value})
