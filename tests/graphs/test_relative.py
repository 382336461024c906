import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.graphs.relative import RELATIVE_PER_GROUP, relative_nodes

GROUPS = ((0, 2), (3, 5))  # column 2 belongs to none


def arguments(num_windows, num_steps, seed):
    generator = torch.Generator().manual_seed(seed)
    clip, aligned = torch.randn(2, num_windows, num_steps, 5, generator=generator)
    own_mean, other_mean = torch.randn(2, num_windows, 5, generator=generator)
    return clip, aligned, own_mean, other_mean


def norm(values):
    return sum(float(value) ** 2 for value in values) ** 0.5


def node_by_loops(clip, aligned, own_mean, other_mean, window, t):
    x = clip[window]
    first, second = (t - 1, t) if t else (0, min(1, len(x) - 1))
    change = x[second] - x[first]
    numbers = []
    for low, high in GROUPS:
        group = slice(low, high)
        numbers += [
            norm((x[t] - own_mean[window])[group]),
            norm(change[group]),
            norm((x[t] - other_mean[window])[group]),
            norm(aligned[window, t, group]),
            norm(x[t, group]),
        ]
    return numbers


@given(st.integers(1, 3), st.integers(1, 5), st.integers(0, 999))
def test_equals_explicit_loops(num_windows, num_steps, seed):
    values = arguments(num_windows, num_steps, seed)
    nodes = relative_nodes(*values, GROUPS)
    assert nodes.shape == (num_windows, num_steps, RELATIVE_PER_GROUP * len(GROUPS))
    expected = [[node_by_loops(*values, m, t) for t in range(num_steps)] for m in range(num_windows)]
    torch.testing.assert_close(nodes, torch.tensor(expected), rtol=1e-5, atol=1e-5)


def test_turning_the_features_of_a_group_changes_nothing():
    values = arguments(3, 4, seed=0)
    generator = torch.Generator().manual_seed(1)
    turn = torch.zeros(5, 5)
    for low, high in GROUPS:
        turn[low:high, low:high], _ = torch.linalg.qr(torch.randn(2, 2, generator=generator))
    turned = relative_nodes(*(value @ turn for value in values), GROUPS)
    torch.testing.assert_close(turned, relative_nodes(*values, GROUPS), rtol=1e-5, atol=1e-5)
