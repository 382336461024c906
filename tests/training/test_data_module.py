import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.datasets.sampling import GradedSampler, TrainingPool
from vreloc_pyg.datasets.splits import RelocalizationSplit
from vreloc_pyg.errors import DataError
from vreloc_pyg.graphs.pair_data import MultiScaleEdges, validate_pair
from vreloc_pyg.graphs.pair_features import PAIR_FEATURES
from vreloc_pyg.graphs.pairing import Pairing
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.segments import decode_offsets, temporal_iou
from vreloc_pyg.training import EpisodeDataset, RelocalizationData
from vreloc_pyg.training.data import PairDataset, collate_episodes

WINDOWS = SlidingWindows(shortest=5, longest=40)
GRADED = GradedSampler(num_candidates=8, shortest=5)
PAIRING = Pairing(num_steps=6, fit="resample", pair_features=True)


def episodes(splits, sampler=GRADED, pairing=PAIRING, size=4, **options):
    return EpisodeDataset(TrainingPool(splits["train"]), sampler, pairing, size, **options)


def drawn(dataset, index):
    """The episode behind an example."""
    return dataset.sampler.draw(dataset.pool, np.random.default_rng([dataset.seed, dataset.epoch, index]))


def assert_same(first, second):
    torch.testing.assert_close(first.overlaps, second.overlaps, rtol=0, atol=0)
    torch.testing.assert_close(first.offsets, second.offsets, rtol=0, atol=0)
    for one, other in zip(first.graphs, second.graphs, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one.keys())  # noqa: SIM118


def differ(first, second):
    return not torch.equal(first.graphs[0].x, second.graphs[0].x)


def test_an_episode_is_a_function_of_seed_epoch_and_index(splits):
    options = {"augmentation": Augmentation(feature_dropout=0.2, speed=0.2, scale=0.2)}
    dataset = episodes(splits, seed=3, epoch=2, **options)
    first = dataset[1]
    dataset[0]
    torch.rand(3)
    np.random.seed(0)  # noqa: NPY002
    assert_same(first, dataset[1])
    assert_same(first, episodes(splits, seed=3, epoch=2, size=9, **options)[1])
    assert differ(first, dataset[2])
    assert differ(first, episodes(splits, seed=3, epoch=1, **options)[1])
    assert differ(first, episodes(splits, seed=2, epoch=2, **options)[1])


def test_overlaps_and_offsets_are_those_of_the_windows_and_the_nearest_instance(splits):
    dataset = episodes(splits, size=6)
    for index in range(len(dataset)):
        example, episode = dataset[index], drawn(dataset, index)
        (group,) = episode.candidates
        instances = group.reference.steps_of(episode.query.label).tolist()
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


def test_a_triplet_is_a_positive_beside_a_negative_of_overlap_zero(splits, triplets):
    dataset = episodes(splits, triplets, Pairing(num_steps=6), size=8)
    for index in range(len(dataset)):
        example, (positive, negative) = dataset[index], drawn(dataset, index).candidates
        assert example.overlaps.shape == (2,)
        assert example.overlaps[0] > 0
        assert example.overlaps[1] == 0
        assert example.offsets[1].tolist() == [0, 0]  # of no meaning, and finite
        graphs = [graph.x[6:] for graph in example.graphs]
        for graph, group in zip(graphs, (positive, negative), strict=True):
            start, end = group.windows[0].tolist()
            steps = torch.linspace(start, end - 1, 6, dtype=torch.float64).round().long()
            if end - start >= 6:
                torch.testing.assert_close(graph, group.reference.features[steps])


def test_graphs_are_those_of_the_pairing(splits):
    dataset = episodes(splits)
    example, episode = dataset[0], drawn(dataset, 0)
    (group,) = episode.candidates
    expected = PAIRING.pair(episode.query.features, group.reference.features, group.windows).graphs()
    for graph, wanted in zip(example.graphs, expected, strict=True):
        assert torch.equal(graph.x, wanted.x)
        assert torch.equal(graph.pair_features, wanted.pair_features)
        validate_pair(graph)
        assert "edge_index_k1" not in graph


def test_edges_are_added_on_request(splits):
    dataset = episodes(splits, edges=MultiScaleEdges((1, 2)))
    plain = episodes(splits)
    for graph, bare in zip(dataset[0].graphs, plain[0].graphs, strict=True):
        validate_pair(graph, (1, 2))
        assert torch.equal(graph.x, bare.x)


def test_collate_keeps_candidates_of_one_query_adjacent(splits):
    dataset = episodes(splits, size=3)
    examples = [dataset[index] for index in range(3)]
    batch = collate_episodes(examples)
    assert batch.overlaps.shape == (3, 8)
    assert batch.offsets.shape == (3, 8, 2)
    assert batch.graphs.num_graphs == 24
    assert batch.graphs.num_query.shape == batch.graphs.num_proposal.shape == (24,)
    assert batch.graphs.pair_features.shape == (24, len(PAIR_FEATURES))
    nodes = batch.graphs.x.view(3, 8, 12, 8)  # [B, C, Tq + Tp, F]
    for number, example in enumerate(examples):
        torch.testing.assert_close(batch.overlaps[number], example.overlaps)
        torch.testing.assert_close(batch.offsets[number], example.offsets)
        for candidate, graph in enumerate(example.graphs):
            assert torch.equal(nodes[number, candidate], graph.x)
        # All candidates of an episode stand beside the same query.
        assert (nodes[number, :, :6] == nodes[number, :1, :6]).all()
    assert len(nodes[:, 0, :6].unique(dim=0)) > 1


def test_collate_of_ragged_graphs(splits):
    dataset = episodes(splits, pairing=Pairing(num_steps=None), size=2)
    batch = collate_episodes([dataset[0], dataset[1]])
    lengths = batch.graphs.num_query + batch.graphs.num_proposal
    assert len(set(lengths.tolist())) > 1
    assert batch.graphs.x.size(0) == lengths.sum()
    validate_pair(batch.graphs)


@pytest.fixture
def ramps(splits):
    """The training split with features that are all one."""
    split = splits["train"]
    queries = [replace(query, features=torch.ones_like(query.features)) for query in split.queries]
    references = [replace(ref, features=torch.ones_like(ref.features)) for ref in split.references]
    return {"train": RelocalizationSplit("train", queries, references, split.pairs)}


def test_the_episode_change_is_one_for_the_query_and_all_candidates(ramps, triplets):
    """Dropped features are dropped in both clips of every pair; what only the query gets is a scale."""
    change = Augmentation(feature_dropout=0.5, scale=0.3)
    dataset = episodes(ramps, triplets, Pairing(num_steps=6, fit="resample"), 8, augmentation=change)
    own_scales, dropped = set(), 0
    for index in range(8):
        first, second = (graph.x for graph in dataset[index].graphs)
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


def test_speed_moves_the_log_ratio_and_nothing_else(splits):
    """A query that plays v times as fast is 1/v as long: log(len_p / len_q) grows by log v."""
    plain = episodes(splits, size=6)
    faster = episodes(splits, size=6, augmentation=Augmentation(speed=0.4))
    column = PAIR_FEATURES.index("log_ratio")
    moved = []
    for index in range(6):
        one, other = plain[index], faster[index]
        assert torch.equal(one.overlaps, other.overlaps)
        before = torch.cat([graph.pair_features for graph in one.graphs])
        after = torch.cat([graph.pair_features for graph in other.graphs])
        shift = after[:, column] - before[:, column]
        torch.testing.assert_close(shift, shift[:1].expand(8), rtol=0, atol=1e-5)
        torch.testing.assert_close(after[:, column + 1], after[:, column].abs())
        rest = [i for i in range(6) if i not in (column, column + 1)]
        torch.testing.assert_close(after[:, rest], before[:, rest])
        assert torch.equal(one.graphs[0].x, other.graphs[0].x)
        moved.append(shift[0].item())
    assert all(0 < abs(shift) <= 0.4 + 1e-5 for shift in moved)
    assert len({round(shift, 4) for shift in moved}) == 6


def test_pairs_of_a_split_in_steps(splits):
    split = splits["validation"]
    dataset = PairDataset(split, WINDOWS)
    assert len(dataset) == len(split) == 4
    query, reference = split[2]
    pair = dataset[2]
    assert torch.equal(pair.query, query.features)
    assert torch.equal(pair.reference, reference.features)
    assert torch.equal(pair.windows, WINDOWS(reference.num_steps))
    assert pair.truths.tolist() == reference.steps_of(query.label).tolist()


@pytest.mark.parametrize(("size", "chosen"), [(1, [0]), (2, [0, 2]), (3, [0, 1, 2]), (4, [0, 1, 2, 3])])
def test_some_pairs_are_spread_evenly(splits, size, chosen):
    assert PairDataset(splits["validation"], WINDOWS, size).chosen == chosen
    assert PairDataset(splits["validation"], WINDOWS, 100).chosen == [0, 1, 2, 3]


def data_module(splits, **options):
    return RelocalizationData(splits["train"], splits["validation"], GRADED, PAIRING, WINDOWS, **options)


def test_an_epoch_has_the_steps_and_batches_asked_for(splits):
    data = data_module(splits, batch_size=3, steps_per_epoch=2, seed=5)
    loader = data.train_dataloader()
    batches = list(loader)
    assert len(loader) == len(batches) == 2
    assert all(batch.overlaps.shape == (3, 8) for batch in batches)
    assert isinstance(batches[0].graphs, Batch)
    expected = episodes(splits, size=6, seed=5)
    overlaps = torch.cat([batch.overlaps for batch in batches])
    assert torch.equal(overlaps, torch.stack([expected[index].overlaps for index in range(6)]))


def test_one_worker_gives_the_episodes_of_none(splits):
    options = {"batch_size": 2, "steps_per_epoch": 2, "augmentation": Augmentation(scale=0.2)}
    alone = list(data_module(splits, **options).train_dataloader())
    helped = list(data_module(splits, num_workers=1, **options).train_dataloader())
    for one, other in zip(alone, helped, strict=True):
        assert torch.equal(one.graphs.x, other.graphs.x)
        assert torch.equal(one.overlaps, other.overlaps)
        assert torch.equal(one.offsets, other.offsets)


def test_validation_batches_are_single_pairs(splits):
    pairs = list(data_module(splits, validation_pairs=2).val_dataloader())
    assert len(pairs) == 2
    query, reference = splits["validation"][2]
    assert torch.equal(pairs[1].query, query.features)
    overlap = temporal_iou(pairs[1].truths, reference.segments_of(query.label) / reference.seconds_per_step)
    assert overlap.diagonal().tolist() == [1.0]


def test_a_split_without_an_answerable_query_is_refused(splits):
    split = splits["train"]
    alone = RelocalizationSplit("train", [replace(split.queries[0], label="unseen")], split.references, [])
    with pytest.raises(DataError, match="No query of split 'train'"):
        data_module({"train": alone, "validation": splits["validation"]})
