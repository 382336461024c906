"""Self-supervised training examples: a part of a reference, played otherwise, is asked for there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vreloc_pyg.datasets.splits import Query, Reference

#: Standard deviations of the logarithms of a part's length beside an instance's, of its speed, and of the
#: speed of each quarter of it.
LENGTHS, SPEED, QUARTERS = 0.4, 0.25, 0.5
#: Steps of the shortest part and of the shortest query.
SHORTEST_PART, SHORTEST_QUERY = 8, 6


def draw_own_part(
    references: Sequence[Reference], rng: np.random.Generator
) -> tuple[Query, Reference, Tensor]:
    """A query that is a part of a reference, played faster or slower; the reference; and where the part lies.

    The part lies anywhere, whatever is annotated there, and is about as long as an instance of the reference.
    The place is a half-open step interval, ``[1, 2]`` int64.
    """
    reference = references[int(rng.integers(len(references)))]
    segments = reference.segments[int(rng.integers(len(reference.segments)))]
    typical = float(segments[1] - segments[0]) / reference.seconds_per_step
    length = max(SHORTEST_PART, round(typical * float(np.exp(LENGTHS * rng.normal()))))
    length = min(length, reference.num_steps)
    start = int(rng.integers(reference.num_steps - length + 1))
    place = torch.tensor([[start, start + length]])
    clip = played_otherwise(reference.features[start : start + length], rng)
    return Query(clip, reference.seconds_per_step, "", reference.video_id), reference, place


def played_otherwise(clip: Tensor, rng: np.random.Generator) -> Tensor:
    """A clip ``[T, F]`` at another speed, and each quarter of it at one of its own, ``[T', F]``.

    It begins and ends where the clip does; steps in between are interpolated.
    """
    count = max(SHORTEST_QUERY, round(len(clip) * float(np.exp(SPEED * rng.normal()))))
    shares = np.exp(QUARTERS * rng.normal(size=4))
    seen = np.concatenate([[0.0], shares.cumsum() / shares.sum()])
    moment = np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(seen)), seen) * (len(clip) - 1)
    before = torch.from_numpy(np.floor(moment)).long()
    share = torch.from_numpy(moment).to(clip.dtype).unsqueeze(1) - before.unsqueeze(1)
    return torch.lerp(clip[before], clip[(before + 1).clamp(max=len(clip) - 1)], share)
