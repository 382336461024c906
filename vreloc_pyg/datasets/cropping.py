"""Random crops of training references."""

from __future__ import annotations

import math

import numpy as np

from vreloc_pyg.datasets.splits import Reference, changed, cut
from vreloc_pyg.segments import seconds_to_steps


def crop_reference(reference: Reference, rng: np.random.Generator, probability: float = 0.9) -> Reference:
    """Crop background off both ends, as Feng et al. do in training (https://arxiv.org/abs/1808.01575).

    With ``probability``, one draw for both ends, a uniform number of steps is taken off the start, up to
    the first instance, and another off the end, down to the last one. The crop has the same id, and moved
    segments and offset. Nothing is read of a stored reference; one without an instance is returned as it is.
    """
    crops, off_start, off_end = rng.random(3)
    if crops >= probability or len(reference.labels) == 0:
        return reference
    step, length = reference.seconds_per_step, reference.num_steps
    instances = seconds_to_steps(reference.segments, step, length)
    # An instance may begin or end within a step: that step is kept whole.
    first = min(int(instances[:, 0].min()), int(float(reference.segments[:, 0].min()) / step + 1e-6))
    last = max(int(instances[:, 1].max()), math.ceil(float(reference.segments[:, 1].max()) / step - 1e-6))
    start = int(off_start * (first + 1))
    stop = length - int(off_end * (length - min(last, length) + 1))
    segments = (reference.segments - start * step).clamp(min=0, max=(stop - start) * step)
    offset_s = reference.offset_s + start * step
    cropped = cut(reference, start, stop)
    return changed(cropped, segments=segments, offset_s=offset_s)
