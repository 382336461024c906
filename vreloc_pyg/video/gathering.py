"""Many small tensors as one large one, without holes in memory."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def gather(parts: Iterable[Tensor]) -> Tensor:
    """Concatenate ``[T_i, F]`` one after the other into a buffer that doubles.

    Thousands of small tensors, kept between the large ones that come and go with every clip, would leave
    holes in the heap that are never filled: hours of video would take gigabytes.
    """
    buffer, filled = torch.empty(0, 0), 0
    for part in parts:
        needed = filled + len(part)
        if needed > len(buffer):
            larger = part.new_empty(max(2 * needed, 4096), part.size(1))
            if filled:
                larger[:filled] = buffer[:filled]
            buffer = larger
        buffer[filled:needed] = part
        filled = needed
    return buffer[:filled].clone()
