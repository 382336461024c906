import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.errors import GraphError
from vreloc_pyg.graphs.alignment_posterior import alignment_posterior

MOVES = ((1, 1), (1, 2), (2, 1))


def every_path(num_query, num_proposal):
    """All paths from any cell of the first row to any of the last, by explicit search."""
    open_paths = [[(0, j)] for j in range(num_proposal)]
    while open_paths:
        path = open_paths.pop()
        i, j = path[-1]
        if i == num_query - 1:
            yield path
        open_paths += [
            [*path, (i + down, j + right)]
            for down, right in MOVES
            if i + down < num_query and j + right < num_proposal
        ]


def path_cost(path, distances):
    cost = (distances[path[0]] + distances[path[-1]]) / 2
    for here, there in itertools.pairwise(path):
        cost += (there[0] - here[0]) * (distances[here] + distances[there]) / 2
    return cost


def by_enumeration(distances, places, sharpness, slack):
    """Share of every cell, and the soft minimum of the cost, of one window ``[Tq, Tp]``."""
    num_query, num_proposal = distances.shape
    weights, shares = 0.0, torch.zeros(num_query, num_proposal, dtype=torch.float64)
    for path in every_path(num_query, num_proposal):
        slide = places[path[0][1]] ** 2 + (places[path[-1][1]] - 1) ** 2
        weight = math.exp(-sharpness * path_cost(path, distances) - slide / (2 * slack**2))
        weights += weight
        for cell in path:
            shares[cell] += weight
    return shares / weights, -math.log(weights) / (sharpness * num_query)


@given(st.integers(1, 5), st.integers(1, 6), st.floats(0.5, 4), st.integers(0, 999))
def test_equals_the_sum_over_all_paths(num_query, num_proposal, sharpness, seed):
    generator = torch.Generator().manual_seed(seed)
    distances = torch.rand(2, num_query, num_proposal, generator=generator, dtype=torch.float64)
    places = torch.linspace(-0.2, 1.2, num_proposal, dtype=torch.float64).expand(2, -1)
    if 2 * num_proposal < num_query + 1:
        with pytest.raises(GraphError, match="expected at least"):
            alignment_posterior(distances, places)
        return
    posterior, cost = alignment_posterior(distances, places, sharpness, slack=0.5)
    for window in range(2):
        shares, expected = by_enumeration(distances[window], places[window], sharpness, 0.5)
        torch.testing.assert_close(posterior[window].exp(), shares, rtol=1e-9, atol=1e-9)
        assert float(cost[window]) == pytest.approx(expected)


def test_a_clip_is_aligned_with_itself():
    """Along the diagonal, wherever it lies in the window and its context."""
    clip = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    around = torch.randn(6, 3, generator=torch.Generator().manual_seed(2))
    seen = torch.cat([around[:3], clip, around[3:]])
    distances = torch.cdist(clip, seen).unsqueeze(0)
    places = ((torch.arange(22) - 3 + 0.5) / 16).unsqueeze(0)
    posterior, cost = alignment_posterior(distances, places)
    assert posterior[0].argmax(1).tolist() == list(range(3, 19))
    other = torch.randn(16, 3, generator=torch.Generator().manual_seed(1))
    assert cost < alignment_posterior(torch.cdist(other, seen).unsqueeze(0), places)[1]


def test_equal_distances_prefer_no_step():
    """With ties everywhere the posterior follows the ends alone; it is finite and turns round with them."""
    places = ((torch.arange(22) - 3 + 0.5) / 16).unsqueeze(0)
    posterior, cost = alignment_posterior(torch.ones(1, 16, 22), places)
    assert torch.isfinite(posterior).all()
    assert float(cost) < 1
    torch.testing.assert_close(posterior, posterior.flip(1, 2), rtol=1e-3, atol=1e-3)


def test_of_no_windows_there_is_nothing_to_align():
    posterior, cost = alignment_posterior(torch.empty(0, 3, 5), torch.empty(0, 5))
    assert (posterior.shape, cost.shape) == ((0, 3, 5), (0,))
