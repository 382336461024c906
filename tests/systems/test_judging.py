import pytest
import torch

from tests.small_runs import SPLITS, WINDOWS, small_run
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.systems.judging import PairDataset, ValidationPair, judge
from vreloc_pyg.systems.network import Ranked, Ranker

SPLIT = SPLITS["validation"]


def test_pairs_of_a_split_in_steps():
    dataset = PairDataset(SPLIT, WINDOWS)
    assert len(dataset) == len(SPLIT) == 4
    query, reference = SPLIT[2]
    pair = dataset[2]
    assert torch.equal(pair.query, query.features)
    assert torch.equal(pair.reference, reference.features)
    assert torch.equal(pair.windows, WINDOWS(reference.num_steps))
    assert pair.truths.tolist() == reference.steps_of(query.label).tolist()


@pytest.mark.parametrize(("size", "chosen"), [(1, [0]), (2, [0, 2]), (3, [0, 1, 2]), (4, [0, 1, 2, 3])])
def test_some_pairs_are_spread_evenly(size, chosen):
    assert PairDataset(SPLIT, WINDOWS, size).chosen == chosen
    assert PairDataset(SPLIT, WINDOWS, 100).chosen == [0, 1, 2, 3]


def test_some_candidates_are_spread_evenly():
    every, few = (PairDataset(SPLIT, WINDOWS, most=most)[0].windows for most in (None, 3))
    assert few.tolist() == [every[index].tolist() for index in (0, len(every) // 3, 2 * len(every) // 3)]
    assert torch.equal(PairDataset(SPLIT, WINDOWS, most=10_000)[0].windows, every)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("mgffnet", {}),
        ("mgffnet", {"refine": True}),
        ("mgffnet", {"refine": True, "regression": "boundaries"}),
        ("mgffnet-paper", {"refine": False}),
        ("mgffnet-paper", {}),
        ("aft-srm", {}),
        ("matching-transformer", {}),
    ],
)
def test_the_answer_judged_is_the_localizers(name, model):
    run = small_run(name, model)
    localizer, pairs = Localizer(run.system, run.network, WINDOWS), PairDataset(SPLIT, WINDOWS)
    for index in range(len(SPLIT)):
        query, reference = SPLIT[index]
        answer = localizer.localize(query, reference).bounds
        overlap = temporal_iou(answer, reference.segments_of(query.label)).max().item()
        judged = judge(run.network, pairs[index])
        assert {key: value.item() for key, value in judged.items()} == {
            "validation/R@1(0.5)": float(overlap > 0.5),
            "validation/R@1(0.7)": float(overlap > 0.7),
            "validation/mean_tiou": pytest.approx(overlap, abs=1e-6),
        }


class Second(Ranker):
    """Prefers the second window, and is as sure of the third."""

    def rank(self, query, reference, windows):
        return Ranked(windows, torch.tensor([0.1, 0.3, 0.3]))


@pytest.mark.parametrize(
    ("truths", "overlap"),
    [
        ([[20, 30]], 1.0),
        ([[0, 10]], 0.0),
        ([[0, 10], [22, 30]], 0.8),  # any instance counts
        ([[20, 40]], 0.5),  # which is not above .5
    ],
)
def test_any_instance_counts_thresholds_are_strict_and_the_first_of_equals_wins(truths, overlap):
    windows = torch.tensor([[0, 10], [20, 30], [5, 9]])
    pair = ValidationPair(torch.zeros(9, 8), torch.zeros(40, 8), windows, torch.tensor(truths).double())
    judged = judge(Second(), pair)
    assert judged["validation/mean_tiou"].item() == pytest.approx(overlap)
    assert judged["validation/R@1(0.5)"].item() == float(overlap > 0.5)
