import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.errors import FeatureError
from vreloc_pyg.graphs.alignment_posterior import alignment_posterior
from vreloc_pyg.graphs.matching import HEADS, match_channels, match_clips, match_edge_attr
from vreloc_pyg.graphs.multi_scale import multi_scale_edge_index
from vreloc_pyg.sequences.windows import equidistant_steps

GROUPS = ((0, 2), (2, 5))
STEPS = (4, 6)


def random_clip(num_steps, seed):
    return torch.randn(num_steps, 5, generator=torch.Generator().manual_seed(seed))


def matched(query, reference, window, seen, heads=tuple(HEADS), **options):
    windows, wider = torch.tensor([window]), torch.tensor([seen])
    means = reference[slice(*window)].mean(0, keepdim=True)
    first = torch.zeros(1, dtype=torch.long)
    return match_clips(
        query.unsqueeze(0), first, reference, windows, wider, means, STEPS, GROUPS, heads, **options
    )


def by_loops(query, reference, window, seen, heads):
    """Nodes and logits of one window, number by number, by the text of :func:`match_clips`."""
    own = equidistant_steps(torch.tensor([len(query)]), STEPS[0])[0].tolist()
    theirs = [
        seen[0] + step for step in equidistant_steps(torch.tensor([seen[1] - seen[0]]), STEPS[1])[0].tolist()
    ]
    together = torch.cat([query, reference])[:, slice(*GROUPS[0])]
    spread = float((together - together.mean(0)).square().mean().sqrt())
    u = [(step + 0.5) / len(query) for step in own]
    v = [(step - window[0] + 0.5) / (window[1] - window[0]) for step in theirs]

    def distance(x, y, group):
        low, high = GROUPS[group]
        return float(torch.dist(x[low:high], y[low:high])) / (high - low) ** 0.5

    rows = [[distance(query[i], y, 0) for y in reference] for i in own]
    edges = torch.tensor(
        [
            [
                [
                    *(distance(query[i], reference[j], group) for group in range(len(GROUPS))),
                    (rows[a][j] - min(rows[a])) / (max(rows[a]) - min(rows[a])),
                    u[a] - v[b],
                    abs(u[a] - v[b]),
                    float(0 <= v[b] <= 1),
                ]
                for b, j in enumerate(theirs)
            ]
            for a, i in enumerate(own)
        ]
    )
    posterior, cost = alignment_posterior(edges[None, ..., 0] / spread, torch.tensor([v]))
    gaps = torch.tensor(u)[:, None] - torch.tensor(v)
    logits = [HEADS[head](gaps, posterior[0]) for head in heads]

    def own_numbers(clip, mean, t):
        before = max(t, 1)
        values = clip[t] - mean, clip[before] - clip[before - 1], clip[t]
        return [
            float(value[low:high].norm()) / (high - low) ** 0.5 for low, high in GROUPS for value in values
        ]

    mean = reference[slice(*window)].mean(0)
    of_query = [own_numbers(query[own], query.mean(0), t) for t in range(STEPS[0])]
    of_window = [own_numbers(reference[theirs], mean, t) for t in range(STEPS[1])]
    for head in logits:
        for a in range(STEPS[0]):
            of_query[a] += (head[a].softmax(0) @ edges[a]).tolist()
        for b in range(STEPS[1]):
            of_window[b] += (head[:, b].softmax(0) @ edges[:, b]).tolist()
    return (
        torch.tensor(of_query),
        torch.tensor(of_window),
        torch.stack(logits) if logits else torch.zeros(0, *STEPS),
        cost,
    )


@given(
    st.integers(2, 9),
    st.tuples(st.integers(0, 9), st.integers(2, 9)),
    st.integers(0, 3),
    st.integers(0, 999),
    st.sampled_from([(), ("rigid",), ("uniform", "path"), tuple(HEADS)]),
)
def test_equals_explicit_loops(num_query, start_and_length, reach, seed, heads):
    start, length = start_and_length
    query, reference = random_clip(num_query, seed), random_clip(20, seed + 1)
    window = start, start + length
    seen = max(0, start - reach), min(20, start + length + reach)
    found = matched(query, reference, window, seen, heads)
    expected = by_loops(query, reference, window, seen, heads)
    assert found.queries.shape[2] == match_channels(len(GROUPS), len(heads))
    for result, by_hand in zip(found, expected, strict=True):
        torch.testing.assert_close(result.flatten(), by_hand.flatten(), rtol=1e-3, atol=1e-4)


def test_heads_lead_where_they_say():
    """To the same place, to a share of 1/e a tenth of a clip from it; anywhere alike; along the alignment."""
    places = torch.arange(6) / 10
    gaps = places[:, None] - places
    posterior = torch.randn(6, 6).log_softmax(1)
    rigid = HEADS["rigid"](gaps, posterior)
    assert torch.equal(rigid.argmax(1), torch.arange(6))
    torch.testing.assert_close(rigid[:-1].diagonal(1), rigid.diagonal()[1:] - 1)
    assert HEADS["uniform"](gaps, posterior).unique().numel() == 1
    assert torch.equal(HEADS["path"](gaps, posterior), posterior)
    posterior[0, :4] = torch.tensor([-30.0, -100.0, -1e4, -torch.inf])  # no path comes there
    weights = HEADS["path"](gaps, posterior)[0].softmax(0)
    assert (weights[:4] == weights[0]).all()
    assert 0 < weights[0] < 1e-6


def test_turns_change_nothing_and_units_not_the_alignment():
    query, reference = random_clip(7, 0), random_clip(20, 1)
    turn = torch.block_diag(*(torch.linalg.qr(random_clip(5, 2)[:n, :n]).Q for n in (2, 3)))
    plain = matched(query, reference, (3, 9), (2, 10))
    turned = matched(query @ turn, reference @ turn, (3, 9), (2, 10))
    for one, other in zip(plain, turned, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    larger = matched(30 * query, 30 * reference, (3, 9), (2, 10))
    torch.testing.assert_close(larger.logits, plain.logits, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(larger.cost, plain.cost, rtol=1e-3, atol=1e-3)


def test_a_clip_of_one_step_and_one_that_never_changes():
    """No number is lost: distances are 0 where nothing differs, and ties weigh alike."""
    still = torch.ones(20, 5)
    found = matched(still[:1], still, (3, 4), (3, 4))
    assert all(torch.isfinite(part).all() for part in found)
    distances = found.queries[..., [6, 7, 8]]  # of the first head, in both groups and ranged
    assert (distances == 0).all()
    assert all(
        torch.isfinite(part).all() for part in matched(random_clip(1, 0), random_clip(20, 1), (3, 4), (2, 5))
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_no_numbers_are_refused(value):
    query, reference = random_clip(4, 0), random_clip(20, 1)
    reference[19, 4] = value
    with pytest.raises(FeatureError, match="NaN or infinite"):
        matched(query, reference, (3, 9), (2, 10))


def test_permuted_edges_keep_their_logits_and_lead_elsewhere():
    query, reference = random_clip(7, 0), random_clip(20, 1)
    plain = matched(query, reference, (3, 9), (2, 10))
    permuted = matched(query, reference, (3, 9), (2, 10), permuted=True)
    assert torch.equal(plain.cost, permuted.cost)
    assert not torch.allclose(plain.logits, permuted.logits)
    torch.testing.assert_close(
        plain.logits.flatten(2).sort().values, permuted.logits.flatten(2).sort().values
    )


@pytest.mark.parametrize("k", [1, 2, 5])
def test_attributes_of_edges_are_the_logits_of_their_steps(k):
    logits = torch.randn(3, 4, 6)
    edge_index = multi_scale_edge_index(4, 6, k)
    attributes = match_edge_attr(edge_index, logits)
    for (source, destination), row in zip(edge_index.t().tolist(), attributes, strict=True):
        i, j = sorted((source, destination))
        across = i < 4 <= j
        expected = [1.0, *logits[:, i, j - 4].tolist()] if across else [0.0] * 4
        assert row.tolist() == expected
