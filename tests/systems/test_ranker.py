"""What MGFFNet answers: its windows ranked, searched about and refined, against loops over pair graphs."""

from functools import partial

import pytest
import torch
from torch_geometric.data import Batch

from vreloc_pyg.datasets import PennAction, Query, Reference
from vreloc_pyg.localization import Localizer
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.systems.answering import SEARCH_SHARES, AnswerSettings
from vreloc_pyg.systems.catalog import find_learned
from vreloc_pyg.systems.spec import Traits

SKELETON = PennAction.skeleton
WINDOWS = SlidingWindows(shortest=4, longest=30, ratio=2.5, overlap=0.4)


def trained_like(network, seed=0):
    """A network in eval mode whose weights and running statistics are not those of a fresh one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer += 0.1 * torch.randn(buffer.shape, generator=generator)
            elif name.endswith("running_var"):
                buffer *= 1 + torch.rand(buffer.shape, generator=generator)
    return network.eval()


def make_localizer(name="mgffnet-paper", skeleton=None, nms_threshold=0.5, search=0, **settings):
    system = find_learned(name)
    torch.manual_seed(0)
    traits = Traits(8 if skeleton is None else skeleton.num_features, skeleton=skeleton)
    ranker = system.build(traits, {"hidden_channels": 8, **settings})
    answers = AnswerSettings(search=search)
    return Localizer(system, trained_like(ranker), WINDOWS, nms_threshold, answers=answers)


def make_pair(query_steps=12, reference_steps=60, width=8, step_s=0.25, seed=0):
    noise = partial(torch.randn, generator=torch.Generator().manual_seed(seed))
    query = Query(noise(query_steps, width), step_s, "", "q")
    return query, Reference(noise(reference_steps, width), step_s, torch.empty(0, 2), (), "r")


@torch.no_grad()
def scored(localizer, query, reference, windows):
    """Scores and offsets of windows, one pair graph at a time."""
    scores, offsets = [], []
    for window in windows:
        pairs = localizer.ranker.settings.pair(query.features, reference.features, window[None])
        relevance = localizer.ranker.model(Batch.from_data_list(pairs.graphs()))
        scores.append(relevance.score)
        offsets.append(relevance.offsets)
    return torch.cat(scores), torch.cat(offsets)


def overlap(one, other):
    shared = max(0, min(one[2], other[2]) - max(one[1], other[1]))
    return shared / ((one[2] - one[1]) + (other[2] - other[1]) - shared)


def kept(answers, threshold, count):
    """Of (score, start, end), the best that overlap no better one too much."""
    found = []
    for answer in sorted(answers, key=lambda answer: -answer[0]):
        if all(overlap(answer, other) <= threshold for other in found):
            found.append(answer)
    return found[:count]


def by_hand(localizer, query, reference, top_n):
    """The answers in plain Python: search, refine, clip, then keep what overlaps no better one too much."""
    settings = localizer.ranker.settings
    windows = localizer.proposals.propose(reference)
    scores, offsets = scored(localizer, query, reference, windows)
    for share in SEARCH_SHARES if localizer.answers.search else ():
        ranked = zip(scores.tolist(), *windows.T.tolist(), strict=True)
        around = set()
        for _, start, end in kept(ranked, 0.7, localizer.answers.search):
            stride = max(1, round(share * (end - start)))
            for low in range(-2, 3):
                for high in range(-2, 3):
                    moved = max(0, start + low * stride), min(reference.num_steps, end + high * stride)
                    if 2 * (moved[1] - moved[0]) >= end - start:
                        around.add(moved)
        around = torch.tensor(sorted(around))
        more = scored(localizer, query, reference, around)
        windows = torch.cat([windows, around])
        scores, offsets = torch.cat([scores, more[0]]), torch.cat([offsets, more[1]])
    answers = []
    for (start, end), score, (shift, stretch) in zip(
        windows.tolist(), scores.double().tolist(), offsets.double(), strict=True
    ):
        low, high = float(start), float(end)
        if settings.refine:
            length = (end - start) * torch.exp(-stretch).item()
            centre = (start + end) / 2 - shift.item() * length
            low, high = centre - length / 2, centre + length / 2
            low, high = (min(max(bound, 0.0), reference.num_steps) for bound in (low, high))
            if high - low < 1:
                middle = min(max((low + high) / 2, 0.5), reference.num_steps - 0.5)
                low, high = middle - 0.5, middle + 0.5
        answers.append((score, low * reference.seconds_per_step, high * reference.seconds_per_step))
    return kept(answers, localizer.nms_threshold, top_n)


CASES = {
    "paper": {},
    "recommended": {"name": "mgffnet"},
    "recommended, searched": {"name": "mgffnet", "search": 2},
    "searched and refined": {"name": "mgffnet", "search": 3, "refine": True},
    "paper without refinement": {"refine": False},
    "recommended with refinement": {"name": "mgffnet", "refine": True},
    "paper, masked": {"mask_padding": True},
    "paper, ragged": {"num_steps": None},
    "recommended, mirror images": {"name": "mgffnet", "skeleton": SKELETON},
    "recommended without graphs": {"name": "mgffnet-cnn"},
}


SHORT = [(1, 60), (12, 1), (1, 1), (60, 12), (2, 2), (12, 3)]
EVERY = [(case, steps) for case in CASES for steps in ((12, 60), (50, 33))]
EVERY += [(case, steps) for case in ("paper", "searched and refined") for steps in SHORT]


@pytest.mark.parametrize(
    ("case", "steps"),
    [*EVERY, *((case, steps) for case in ("paper", "searched and refined") for steps in SHORT)],
)
def test_answers_are_those_of_a_loop_over_windows(case, steps):
    localizer = make_localizer(**CASES[case])
    query, reference = make_pair(*steps, width=localizer.num_features)
    found = localizer.localize(query, reference, 5)
    expected = by_hand(localizer, query, reference, 5)
    assert len(found) == len(expected) >= 1
    assert found.scores.tolist() == pytest.approx([answer[0] for answer in expected], abs=1e-5)
    if min(steps) > 3:
        assert len(found) >= 2
        assert found.scores.std() > 1e-5
        for segment, (_, low, high) in zip(found, expected, strict=True):
            assert segment == pytest.approx((low, high), abs=1e-3)
    assert (found.bounds[:, 0] >= 0).all()
    assert (found.bounds[:, 1] <= reference.duration_s + 1e-9).all()
    assert found.scores.abs().max() <= 1


# Refinement


def with_offsets(localizer, shift, stretch):
    """The network's offsets replaced by the same for every window."""
    head = localizer.ranker.model.regression_head.mlp[-1]
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([shift, stretch]))
    return localizer


@pytest.mark.parametrize(("shift", "stretch"), [(0.0, 0.0), (0.5, 0.0), (-0.25, 0.6931), (0.1, -0.4)])
def test_refinement_moves_windows_as_decoded_by_hand(shift, stretch):
    plain = make_localizer(refine=False, nms_threshold=1.0)
    refined = with_offsets(make_localizer(nms_threshold=1.0), shift, stretch)
    query, reference = make_pair()
    before, after = (one.localize(query, reference, 500) for one in (plain, refined))
    assert before.scores.tolist() == after.scores.tolist()
    inside = 0
    for (start, end), (low, high) in zip(before, after, strict=True):
        length = (end - start) * torch.exp(torch.tensor(-stretch, dtype=torch.float64)).item()
        centre = (start + end) / 2 - shift * length
        expected = (max(0.0, centre - length / 2), min(reference.duration_s, centre + length / 2))
        inside += expected == (centre - length / 2, centre + length / 2)
        if expected[1] - expected[0] > 0.25:
            assert (low, high) == pytest.approx(expected, abs=1e-5)
    assert inside > 0


@pytest.mark.parametrize("shift", [-1e6, -3.0, 3.0, 1e6])
@pytest.mark.parametrize("stretch", [-1000.0, -5.0, 0.0, 5.0, 1000.0])
def test_wild_offsets_still_give_segments_inside_the_video(shift, stretch):
    query, reference = make_pair()
    found = with_offsets(make_localizer(), shift, stretch).localize(query, reference, 5)
    assert (found.bounds >= 0).all()
    assert (found.bounds <= reference.duration_s + 1e-9).all()
    lengths = found.bounds[:, 1] - found.bounds[:, 0]
    assert (lengths >= reference.seconds_per_step - 1e-9).all()
