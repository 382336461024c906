import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.graphs import relative
from vreloc_pyg.graphs.relative import RELATIVE_PER_GROUP, relative_nodes
from vreloc_pyg.sequences.windows import equidistant_steps

GROUPS = ((0, 2), (3, 5))  # column 2 belongs to none
NUM_STEPS, LENGTH = 4, 12


def arguments(num_windows, seed, num_images=2, num_query=7):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(num_images, num_query, 5, generator=generator)
    reference = torch.randn(LENGTH, 5, generator=generator)
    image = torch.randint(num_images, (num_windows,), generator=generator)
    start = torch.randint(LENGTH, (num_windows,), generator=generator)
    length = torch.randint(1, LENGTH, (num_windows,), generator=generator)
    windows = torch.stack([start, (start + length).clamp(max=LENGTH)], dim=1)
    seen = (windows + torch.tensor([-1, 1])).clamp(0, LENGTH)
    means = torch.stack([reference[a:b].mean(0) for a, b in windows.tolist()])
    return images, image, reference, windows, seen, means


def norm(values):
    return sum(float(value) ** 2 for value in values) ** 0.5


def steps_of(start, end, num_steps):
    return (start + equidistant_steps(torch.tensor([end - start]), num_steps)[0]).tolist()


def numbers_of(clip, t, aligned, own_mean, other_mean):
    first, second = (t - 1, t) if t else (0, min(1, len(clip) - 1))
    numbers = []
    for low, high in GROUPS:
        group = slice(low, high)
        numbers += [
            norm((clip[t] - own_mean)[group]),
            norm((clip[second] - clip[first])[group]),
            norm((clip[t] - other_mean)[group]),
            norm(aligned[t][group]),
            norm(clip[t][group]),
        ]
    return numbers


@given(st.integers(1, 5), st.integers(1, NUM_STEPS), st.integers(1, 9), st.integers(0, 999))
def test_equals_explicit_loops(num_windows, num_steps, num_query, seed):
    values = arguments(num_windows, seed, num_query=num_query)
    images, image, reference, windows, seen, means = values
    found = relative_nodes(*values, num_steps, GROUPS)
    for nodes in found:
        assert nodes.shape == (num_windows, num_steps, RELATIVE_PER_GROUP * len(GROUPS))
    for m in range(num_windows):
        query = images[image[m]]
        own = query[steps_of(0, num_query, num_steps)]
        aligned = own - reference[steps_of(*windows[m].tolist(), num_steps)]
        shown = reference[steps_of(*seen[m].tolist(), num_steps)]
        mean = query.mean(0)
        expected = [numbers_of(own, t, aligned, mean, means[m]) for t in range(num_steps)]
        torch.testing.assert_close(found[0][m], torch.tensor(expected), rtol=1e-5, atol=1e-5)
        expected = [numbers_of(shown, t, aligned, means[m], mean) for t in range(num_steps)]
        torch.testing.assert_close(found[1][m], torch.tensor(expected), rtol=1e-5, atol=1e-5)


def test_blocks_of_windows_change_nothing(monkeypatch):
    values = arguments(7, seed=0)
    whole = relative_nodes(*values, NUM_STEPS, GROUPS)
    monkeypatch.setattr(relative, "BLOCK", 3)
    torch.testing.assert_close(relative_nodes(*values, NUM_STEPS, GROUPS), whole)


def test_turning_the_features_of_a_group_changes_nothing():
    images, image, reference, windows, seen, means = arguments(3, seed=0)
    generator = torch.Generator().manual_seed(1)
    turn = torch.zeros(5, 5)
    for low, high in GROUPS:
        turn[low:high, low:high], _ = torch.linalg.qr(torch.randn(2, 2, generator=generator))
    turned = relative_nodes(images @ turn, image, reference @ turn, windows, seen, means @ turn, 4, GROUPS)
    expected = relative_nodes(images, image, reference, windows, seen, means, 4, GROUPS)
    torch.testing.assert_close(turned, expected, rtol=1e-5, atol=1e-5)


def test_a_window_that_is_the_query_is_at_no_distance_from_it():
    """Distances come of differences of squares: their roots would be off by a thousandth in float32."""
    reference = 30 + torch.randn(LENGTH, 5)
    windows = torch.tensor([[2, 9]])
    query = reference[None, 2:9]
    values = query, torch.tensor([0]), reference, windows, windows, query.mean(1)
    for nodes in relative_nodes(*values, NUM_STEPS, GROUPS):
        assert nodes[..., [3, 8]].abs().max() < 1e-5
