"""Dark frames, brightened: networks learned from footage that is seldom dark."""

from __future__ import annotations

import torch
from torch import Tensor

#: Frames darker on average, of 255, are brightened to this. Ordinary footage is brighter, and stays as it is.
DARKEST = 64.0
#: What is nearly black is multiplied by no more: its noise shall not become a picture.
MOST = 20.0


def brightened(frames: Tensor, darkest: float = DARKEST) -> Tensor:
    """Frames ``[N, H, W, 3]`` uint8, of which dark ones are brightened.

    Each is multiplied by what brings its own average to ``darkest``, as a longer exposure would have.
    """
    means = frames[:, ::4, ::4].float().mean((1, 2, 3))
    dark = means < darkest
    if not dark.any():
        return frames
    shown = frames.clone()
    gains = (darkest / means[dark]).clamp(max=MOST).view(-1, 1, 1, 1)
    shown[dark] = (frames[dark] * gains).round().clamp(max=255).to(torch.uint8)
    return shown
