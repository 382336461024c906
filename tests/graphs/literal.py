"""The relative nodes of one pair, as their docstring says them: an oracle."""

import torch


def literal_relative_nodes(clip, aligned, own_mean, other_mean, groups):
    """Nodes ``[T, 5 G]`` of a clip, of differences from the other clip, and of both means."""
    own, other = clip - own_mean, clip - other_mean
    before = torch.cat([2 * clip[:1] - clip[1:2], clip[:-1]]) if len(clip) > 1 else clip
    columns = [
        values[:, low:high].norm(dim=1)
        for low, high in groups
        for values in (own, clip - before, other, aligned, clip)
    ]
    return torch.stack(columns, dim=1)
