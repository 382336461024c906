import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch, Data

from tests.small_runs import SPLITS, WINDOWS, small_run
from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.datasets.sampling import GradedSampler, TrainingPool, TripletSampler
from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.graphs.pair_data import validate_pair
from vreloc_pyg.graphs.pair_features import PAIR_FEATURES
from vreloc_pyg.graphs.pairing import Pairing
from vreloc_pyg.segments import decode_offsets
from vreloc_pyg.systems.mgffnet.episodes import collate_episodes, draw_episode
from vreloc_pyg.training.data import ExampleDataset

GRADED = GradedSampler(num_candidates=8, shortest=5)
TRIPLETS = TripletSampler(WINDOWS)
PAIRING = Pairing(num_steps=6, fit="resample", pair_features=True)


def episodes(sampler=GRADED, pairing=PAIRING, size=4, augmentation=None, split=SPLITS["train"]):
    pool = TrainingPool(split)
    draw = partial(draw_episode, pool, augmentation=augmentation, sampler=sampler, pairing=pairing)
    return ExampleDataset(draw, size)


def drawn(sampler, index):
    """The windows behind an episode."""
    return sampler.draw(TrainingPool(SPLITS["train"]), np.random.default_rng([0, 0, index]))


def graphs_of(episode):
    return [graph for pairs in episode.pairs for graph in pairs.graphs()]


def test_an_episode_is_that_of_its_windows_and_the_nearest_instances():
    dataset = episodes()
    for index in range(6):
        example, episode = dataset[index], drawn(GRADED, index)
        (group,) = episode.candidates
        instances = group.reference.steps_of(episode.query.label).tolist()
        pairs = PAIRING.pair(episode.query.features, group.reference.features, group.windows)
        for graph, expected in zip(graphs_of(example), pairs.graphs(), strict=True):
            assert torch.equal(graph.x, expected.x)
            assert torch.equal(graph.pair_features, expected.pair_features)
        assert example.overlaps.shape == (8,)
        assert example.offsets.shape == (8, 2)
        decoded = decode_offsets(group.windows.double(), example.offsets.double())
        torch.testing.assert_close(decoded, group.truths.double(), rtol=1e-5, atol=1e-4)
        for number, (start, end) in enumerate(group.windows.tolist()):
            overlaps = []
            for low, high in instances:
                shared = len(set(range(start, end)) & set(range(low, high)))
                overlaps.append(shared / len(set(range(start, end)) | set(range(low, high))))
            assert example.overlaps[number].item() == pytest.approx(max(overlaps), abs=1e-6)
            assert group.truths[number].tolist() == instances[overlaps.index(max(overlaps))]


def test_a_triplet_is_a_positive_beside_a_negative_of_overlap_zero():
    dataset = episodes(TRIPLETS, Pairing(num_steps=6))
    for index in range(8):
        example, groups = dataset[index], drawn(TRIPLETS, index).candidates
        assert example.overlaps.shape == (2,)
        assert example.overlaps[0] > 0
        assert example.overlaps[1] == 0
        assert example.offsets[1].tolist() == [0, 0]  # of no meaning, and finite
        for graph, group in zip(graphs_of(example), groups, strict=True):
            start, end = group.windows[0].tolist()
            steps = torch.linspace(start, end - 1, 6, dtype=torch.float64).round().long()
            if end - start >= 6:
                torch.testing.assert_close(graph.x[6:], group.reference.features[steps])


def test_collate_keeps_candidates_of_one_query_adjacent():
    examples = [episodes()[index] for index in range(3)]
    batch = collate_episodes(examples)
    assert batch.overlaps.shape == (3, 8)
    assert batch.offsets.shape == (3, 8, 2)
    assert batch.pairs.queries.shape == batch.pairs.proposals.shape == (24, 6, 8)
    assert batch.pairs.pair_features.shape == (24, len(PAIR_FEATURES))
    assert batch.pairs.mask is None
    for number, example in enumerate(examples):
        assert torch.equal(batch.overlaps[number], example.overlaps)
        assert torch.equal(batch.offsets[number], example.offsets)
    queries = batch.pairs.queries.view(3, 8, 6, 8)  # [B, C, T, F]
    assert (queries == queries[:, :1]).all()  # all candidates of an episode stand beside the same query
    assert len(queries[:, 0].unique(dim=0)) > 1


MIRRORED = {"mirror_index": (1, 0, 3, 2, 4, 5, 6, 7), "mirror_sign": (-1.0,) * 8}
PADDED = {"fit": "pad", "nodes": "features", "num_steps": 24}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("mgffnet-paper", {}),
        ("mgffnet-paper", MIRRORED),
        ("mgffnet-paper", {"mask_padding": True, "pair_features": True}),
        ("mgffnet-paper", {"weight": "exponential", "context": 0.3}),
        ("mgffnet", {}),
        ("mgffnet", MIRRORED),
        ("mgffnet", PADDED),
        ("mgffnet", {"regression": "boundaries"}),
        ("mgffnet-exponential", {}),
        ("mgffnet-exponential", {**PADDED, **MIRRORED}),
        ("mgffnet-laplacian", PADDED),
        ("mgffnet-cnn", PADDED),
    ],
)
def test_dense_pairs_give_exactly_what_their_graphs_give(name, model, training):
    run = small_run(name, model)
    drawn = run.examples(3)
    batch = run.recipe.collate(drawn)
    graphs = Batch.from_data_list([graph for episode in drawn for graph in graphs_of(episode)])
    assert not isinstance(batch.pairs, Data)
    assert torch.equal(torch.cat([batch.pairs.queries, batch.pairs.proposals], 1).flatten(0, 1), graphs.x)
    assert (batch.pairs.mask is None) == ("mask" not in graphs)
    if batch.pairs.mask is not None:
        assert torch.equal(batch.pairs.mask.flatten(), graphs.mask)
        assert not batch.pairs.mask.all()
    pooled = []
    for pairs in (batch.pairs, graphs):
        network = small_run(name, model).network.train(training)
        torch.manual_seed(1)
        pooled.append([part for part in network.pool(pairs) if part is not None])
    assert len(pooled[0]) == len(pooled[1])
    for one, other in zip(*pooled, strict=True):
        assert torch.equal(one, other)


def test_clips_that_keep_their_lengths_stay_graphs():
    run = small_run("mgffnet-paper", {"num_steps": None, "pair_features": True})
    drawn = run.examples(5)
    pairs = run.recipe.collate(drawn).pairs
    graphs = Batch.from_data_list([graph for episode in drawn for graph in graphs_of(episode)])
    assert isinstance(pairs, Data)
    assert pairs.keys() == graphs.keys()
    assert all(torch.equal(pairs[key], graphs[key]) for key in pairs.keys())  # noqa: SIM118
    assert len(set((pairs.num_query + pairs.num_proposal).tolist())) > 1
    validate_pair(pairs)
    network = run.network.eval()
    single = torch.cat([network.pool(graph).graph for episode in drawn for graph in graphs_of(episode)])
    torch.testing.assert_close(network.pool(pairs).graph, single, rtol=1e-5, atol=1e-5)


@pytest.fixture
def ones():
    """The training split with features that are all one."""
    split = SPLITS["train"]
    queries = [replace(query, features=torch.ones_like(query.features)) for query in split.queries]
    references = [replace(ref, features=torch.ones_like(ref.features)) for ref in split.references]
    return RelocalizationSplit("train", queries, references, split.pairs)


def test_the_episode_change_is_one_for_the_query_and_all_candidates(ones):
    """Dropped features are dropped in both clips of every pair; what only the query gets is a scale."""
    change = Augmentation(feature_dropout=0.5, scale=0.3)
    dataset = episodes(TRIPLETS, Pairing(num_steps=6, fit="resample"), 8, change, ones)
    own_scales, dropped = set(), 0
    for index in range(8):
        first, second = (graph.x for graph in graphs_of(dataset[index]))
        assert torch.equal(first, second)
        query, proposal = first[:6], first[6:]
        assert ((query == 0) == (proposal == 0)).all()
        kept = proposal[0] != 0
        dropped += int((~kept).sum())
        if kept.any():
            assert len(set(proposal[:, kept].flatten().tolist())) == 1
            own_scales.add(round((query[0, kept][0] / proposal[0, kept][0]).item(), 4))
            assert proposal[0, kept][0] != 1
    assert 0 < dropped < 8 * 8
    assert len(own_scales) > 4
    assert all(math.exp(-0.3) <= scale <= math.exp(0.3) for scale in own_scales)


def test_speed_moves_the_log_ratio_and_nothing_else():
    """A query that plays v times as fast is 1/v as long: log(len_p / len_q) grows by log v."""
    plain, faster = episodes(), episodes(augmentation=Augmentation(speed=0.4))
    column = PAIR_FEATURES.index("log_ratio")
    moved = []
    for index in range(6):
        one, other = plain[index], faster[index]
        assert torch.equal(one.overlaps, other.overlaps)
        before, after = (episode.pairs[0].pair_features for episode in (one, other))
        shift = after[:, column] - before[:, column]
        torch.testing.assert_close(shift, shift[:1].expand(8), rtol=0, atol=1e-5)
        torch.testing.assert_close(after[:, column + 1], after[:, column].abs())
        rest = [i for i in range(6) if i not in (column, column + 1)]
        torch.testing.assert_close(after[:, rest], before[:, rest])
        assert torch.equal(one.pairs[0].proposals, other.pairs[0].proposals)
        moved.append(shift[0].item())
    assert all(0 < abs(shift) <= 0.4 + 1e-5 for shift in moved)
    assert len({round(shift, 4) for shift in moved}) == 6
