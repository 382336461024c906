import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch

from tests.graphs.literal import literal_relative_nodes
from vreloc_pyg.errors import FeatureError, SegmentError, SettingsError
from vreloc_pyg.graphs import Pairing, pair_data
from vreloc_pyg.graphs.matching import match_clips
from vreloc_pyg.graphs.pair_data import validate_pair
from vreloc_pyg.graphs.pair_features import pair_features
from vreloc_pyg.sequences.values_and_changes import values_and_changes
from vreloc_pyg.sequences.windows import equidistant_steps

WIDTH, LENGTH = 4, 24
GROUPS = ((0, 2), (2, 4))
MIRROR = {"mirror_index": (1, 0, 2, 3), "mirror_sign": (1.0, 1.0, -1.0, 1.0)}
RELATIVE = {"fit": "resample", "nodes": "relative", "feature_groups": GROUPS, "context": 0.25}
MATCH = {**RELATIVE, "nodes": "match", "heads": ("rigid", "path")}

#: Pairings of every kind; contexts are multiples of 1/4, so that rounding is exact.
PAIRINGS = {
    "paper": Pairing(num_steps=8),
    "resample": Pairing(num_steps=8, fit="resample"),
    "ragged": Pairing(num_steps=None),
    "context": Pairing(num_steps=8, fit="pad", context=0.25),
    "ragged context": Pairing(num_steps=None, context=0.5, **MIRROR),
    "mirror": Pairing(num_steps=8, pair_features=True, **MIRROR),
    "single step": Pairing(num_steps=1, fit="resample", pair_features=True),
    "relative": Pairing(num_steps=6, **RELATIVE),
    "recommended": Pairing(num_steps=6, pair_features=True, **RELATIVE, **MIRROR),
    "units": Pairing(num_steps=6, pair_features=True, units="reference", **RELATIVE),
    "match": Pairing(num_steps=4, **MATCH),
    "match mirror": Pairing(num_steps=4, pair_features=True, permuted_edges=True, **MATCH, **MIRROR),
}
every_pairing = pytest.mark.parametrize("pairing", PAIRINGS.values(), ids=PAIRINGS)

windows_of_the_video = st.lists(
    st.tuples(st.integers(0, LENGTH - 1), st.integers(1, LENGTH)).map(
        lambda w: [w[0], min(LENGTH, w[0] + w[1])]
    ),
    min_size=1,
    max_size=5,
)


def clip(num_steps, seed):
    return torch.randn(num_steps, WIDTH, generator=torch.Generator().manual_seed(seed))


def fitted(pairing, features):
    """A clip brought to the pairing's length, and which of its steps are no padding."""
    if pairing.num_steps is None:
        return features, [True] * len(features)
    if pairing.fit == "pad" and len(features) <= pairing.num_steps:
        missing = pairing.num_steps - len(features)
        padded = torch.cat([features, torch.zeros(missing, WIDTH)])
        return padded, [True] * len(features) + [False] * missing
    steps = equidistant_steps(torch.tensor([len(features)]), pairing.num_steps)[0]
    return features[steps], [True] * pairing.num_steps


def image_of(pairing, features):
    columns = [
        sign * features[:, column]
        for column, sign in zip(pairing.mirror_index, pairing.mirror_sign, strict=True)
    ]
    return torch.stack(columns, dim=1)


def statistics(features):
    return torch.cat([features.double().mean(0), features.double().std(0, correction=0)])


def pair_by_hand(pairing, query, reference, window, speed):
    """Query, proposal, masks and pair features of one window, by the text of :class:`Pairing`."""
    start, end = window
    if pairing.units == "reference":
        query, reference = values_and_changes(query, reference)
    exact = reference[start:end]
    if pairing.mirror_index:
        query = min(
            (query, image_of(pairing, query)),
            key=lambda image: float(torch.dist(statistics(image), statistics(exact))),
        )
    reach = round(pairing.context * (end - start))
    seen = reference[max(0, start - reach) : min(len(reference), end + reach)]
    own, own_mask = fitted(pairing, query)
    theirs, their_mask = fitted(pairing, seen)
    if pairing.nodes == "relative":
        aligned = own - fitted(pairing, exact)[0]
        means = query.mean(0), exact.mean(0)
        own, theirs = (
            literal_relative_nodes(own, aligned, *means, GROUPS),
            literal_relative_nodes(theirs, aligned, *means[::-1], GROUPS),
        )
    numbers = None
    if pairing.pair_features:
        numbers = pair_features(query, reference, torch.tensor([window]), speed)[0]
    if pairing.nodes == "match":
        bounds = max(0, start - reach), min(len(reference), end + reach)
        images = torch.stack([query, image_of(pairing, query)] if pairing.mirror_index else [query])
        first, windows, mean = torch.zeros(1, dtype=torch.long), torch.tensor([window]), exact.mean(0)
        clips = images, first, reference, windows, torch.tensor([bounds]), mean.unsqueeze(0)
        found = match_clips(*clips, (4, 6), GROUPS, pairing.heads, pairing.permuted_edges)
        own, theirs, their_mask = found.queries[0], found.proposals[0], [True] * 6
        if numbers is not None:
            numbers = torch.cat([numbers, found.cost])
    return own, own_mask, theirs, their_mask, numbers


@every_pairing
@given(
    windows=windows_of_the_video,
    num_query=st.integers(1, 12),
    speed=st.floats(0.5, 2),
    seed=st.integers(0, 999),
)
def test_every_window_is_paired_as_by_hand(pairing, windows, num_query, speed, seed):
    query, reference = clip(num_query, seed), clip(LENGTH, seed + 1)
    pairs = pairing.pair(query, reference, torch.tensor(windows), speed)
    assert len(pairs.version) == len(pairs.proposals) == len(windows)
    for index, window in enumerate(windows):
        own, own_mask, theirs, their_mask, numbers = pair_by_hand(pairing, query, reference, window, speed)
        torch.testing.assert_close(pairs.queries[pairs.version[index]], own, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(pairs.proposals[index], theirs, rtol=1e-4, atol=1e-5)
        assert pairs.query_mask.tolist() == own_mask
        if pairing.num_steps is not None and pairing.fit == "pad":
            assert pairs.proposal_mask[index].tolist() == their_mask
        else:
            assert pairs.proposal_mask is None
        if numbers is None:
            assert pairs.pair_features is None
        else:
            torch.testing.assert_close(pairs.pair_features[index], numbers, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fit", ["pad", "resample"])
@pytest.mark.parametrize(  # the last two resample at positions that are half-way between steps
    ("num_steps", "length"), [(None, LENGTH), (1, LENGTH), (8, LENGTH), (11, 46), (15, 62)]
)
def test_graphs_are_those_of_pair_data(fit, num_steps, length):
    pairing = Pairing(num_steps=num_steps, fit=fit)
    query, reference = clip(6 if length == LENGTH else length, 0), clip(length, 1)
    windows = torch.tensor([[0, 3], [5, 13], [2, 24], [0, length]])
    graphs = pairing.pair(query, reference, windows).graphs()
    for graph, (start, end) in zip(graphs, windows.tolist(), strict=True):
        expected = pair_data(query, reference[start:end], num_steps=num_steps, fit=fit)
        assert set(graph.keys()) == set(expected.keys())
        for name in expected.keys():  # noqa: SIM118 - a Data iterates over pairs
            assert torch.equal(graph[name], expected[name]), name


@every_pairing
def test_graphs_are_valid_and_batch(pairing):
    windows = torch.tensor([[0, 3], [5, 13], [2, 24], [9, 10]])
    pairs = pairing.pair(clip(6, 0), clip(LENGTH, 1), windows)
    graphs = pairs.graphs()
    batch = validate_pair(Batch.from_data_list(graphs))
    assert batch.x.size(1) == pairing.node_channels(WIDTH)
    assert batch.num_query.tolist() == [len(pairs.queries[0])] * 4
    assert batch.num_proposal.tolist() == [len(proposal) for proposal in pairs.proposals]
    for graph, again in zip(graphs, batch.to_data_list(), strict=True):
        assert torch.equal(graph.x, again.x)
    if pairing.pair_features:
        assert torch.equal(batch.pair_features, pairs.pair_features)
    if pairing.fit == "pad" and pairing.num_steps is not None:
        assert batch.mask.shape == (4 * 16,)


def test_of_query_and_mirror_image_the_nearer_is_chosen():
    pairing = Pairing(num_steps=8, fit="resample", **MIRROR)
    query = clip(8, 0)
    image = image_of(pairing, query)
    reference = torch.cat([query + 0.01, image - 0.01, query - 0.01])
    pairs = pairing.pair(query, reference, torch.tensor([[0, 8], [8, 16], [16, 24]]))
    assert torch.equal(pairs.queries, torch.stack([query, image]))
    assert pairs.version.tolist() == [0, 1, 0]


@pytest.mark.parametrize("name", ["recommended", "match mirror"])
def test_a_mirrored_query_is_paired_as_the_query_is(name):
    pairing = PAIRINGS[name]
    query, reference, windows = clip(8, 0), clip(LENGTH, 1), torch.tensor([[0, 8], [3, 20]])
    first = pairing.pair(query, reference, windows)
    second = pairing.pair(pairing.mirrored(query), reference, windows)
    torch.testing.assert_close(second.queries, first.queries)
    torch.testing.assert_close(second.proposals, first.proposals)
    torch.testing.assert_close(second.pair_features, first.pair_features)


def test_context_is_cut_at_the_ends_of_the_video():
    reference = torch.arange(10.0)[:, None]
    pairing = Pairing(num_steps=None, context=0.5)
    pairs = pairing.pair(torch.zeros(3, 1), reference, torch.tensor([[0, 4], [3, 7], [6, 10], [4, 5]]))
    assert [proposal[:, 0].tolist() for proposal in pairs.proposals] == [
        [0, 1, 2, 3, 4, 5],
        [1, 2, 3, 4, 5, 6, 7, 8],
        [4, 5, 6, 7, 8, 9],
        [4],  # half a step rounds to none
    ]


def test_mirroring_twice_is_the_identity():
    features = torch.randn(2, 5, WIDTH)
    pairing = PAIRINGS["mirror"]
    assert torch.equal(pairing.mirrored(features)[1], image_of(pairing, features[1]))
    assert torch.equal(pairing.mirrored(pairing.mirrored(features)), features)


def test_width_of_nodes():
    assert Pairing().node_channels(65) == 65
    assert PAIRINGS["relative"].node_channels(WIDTH) == 10


def test_the_defaults_are_the_papers():
    assert Pairing() == Pairing(num_steps=40, fit="pad", nodes="features", context=0.0, pair_features=False)
    assert Pairing().mirror_index == ()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"feature_groups": ((2, 2),)}, r"feature_groups as ranges of columns \(got \(\(2, 2\),\)\)"),
        ({"feature_groups": ((-1, 2),)}, "feature_groups as ranges"),
        ({**RELATIVE, "fit": "pad"}, "needs num_steps, fit='resample' and feature_groups"),
        ({**RELATIVE, "feature_groups": ()}, "needs num_steps, fit='resample' and feature_groups"),
        ({**RELATIVE, "num_steps": None}, "needs num_steps"),
        ({"units": "reference"}, "needs nodes that compare, and no mirror_index"),
        ({**RELATIVE, **MIRROR, "units": "reference"}, "needs nodes that compare, and no mirror_index"),
        ({**MATCH, "nodes": "relative"}, "heads and permuted_edges need nodes='match'"),
        ({**MATCH, "heads": ("rigid", "loose")}, "heads as .*rigid, uniform, path"),
        ({"mirror_index": (0, 1)}, r"mirror_index and mirror_sign of one length \(got 2 and 0\)"),
    ],
)
def test_refuses_impossible_settings(settings, problem):
    with pytest.raises(SettingsError, match=problem):
        Pairing(**settings)


@every_pairing
@pytest.mark.parametrize(
    ("query", "reference", "windows", "problem"),
    [
        (clip(3, 0), clip(LENGTH, 1), torch.zeros(0, 2, dtype=torch.int64), "at least one window"),
        (clip(3, 0), clip(LENGTH, 1), torch.tensor([[0, 5], [20, 25]]), r"got \[20, 25\] at 1"),
        (clip(3, 0), clip(LENGTH, 1), torch.tensor([[5, 5]]), r"non-empty .*got \[5, 5\] at 0"),
        (clip(0, 0), clip(LENGTH, 1), torch.tensor([[0, 5]]), r"of the query as \[T >= 1, F\]"),
        (clip(3, 0), clip(0, 1), torch.tensor([[0, 5]]), r"of the reference as \[T >= 1, F\]"),
        (clip(3, 0), clip(LENGTH, 1)[:, :3], torch.tensor([[0, 5]]), "as wide as those of the query"),
        (clip(3, 0) * torch.nan, clip(LENGTH, 1), torch.tensor([[0, 5]]), "query hold NaN"),
    ],
)
def test_refuses_what_are_no_pairs(pairing, query, reference, windows, problem):
    with pytest.raises((FeatureError, SegmentError), match=problem):
        pairing.pair(query, reference, windows)


def test_refuses_features_the_mirror_image_is_not_of():
    with pytest.raises(SettingsError, match=r"mirror image is defined for 4 features \(got 3\)"):
        PAIRINGS["mirror"].pair(torch.randn(5, 3), torch.randn(9, 3), torch.tensor([[0, 4]]))
