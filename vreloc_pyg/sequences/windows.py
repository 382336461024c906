"""Cutting windows out of a feature sequence and bringing them to one length."""

from __future__ import annotations

import torch
from torch import Tensor

from vreloc_pyg.errors import SettingsError


def equidistant_steps(lengths: Tensor, num_steps: int) -> Tensor:
    """Indices of ``num_steps`` equidistant steps of clips of the given lengths, both ends kept.

    .. math::
        i_t = \\mathrm{round}\\left(t\\,\\frac{n - 1}{T - 1}\\right), \\qquad t = 0, \\dots, T - 1

    (paper section 5.2.2). A clip shorter than T repeats steps. Lengths are ``[M]``, steps ``[M, T]`` int64.
    """
    if num_steps < 1:
        raise SettingsError(f"Expected num_steps >= 1 (got {num_steps})")
    position = torch.arange(num_steps, device=lengths.device, dtype=torch.float64) / max(num_steps - 1, 1)
    return torch.round((lengths[:, None] - 1) * position).long()


def cut_windows(
    features: Tensor, windows: Tensor, num_steps: int, fit: str = "resample"
) -> tuple[Tensor, Tensor]:
    """Clips ``[M, T, F]`` of windows of a video, and which of their steps hold features, ``[M, T]`` bool.

    Args:
        features: the video, ``[N, F]``.
        windows: half-open step intervals ``[M, 2]`` int64.
        num_steps: T.
        fit: ``"resample"``: every window by :func:`equidistant_steps`; ``"pad"``: only windows longer than
            T are resampled, shorter ones end in zeros (paper section 5.2.2).
    """
    if fit not in ("resample", "pad"):
        raise SettingsError(f"Expected fit to be 'resample' or 'pad' (got {fit!r})")
    start, lengths = windows[:, 0], windows[:, 1] - windows[:, 0]
    steps = equidistant_steps(lengths, num_steps)
    valid = torch.ones_like(steps, dtype=torch.bool)
    if fit == "pad":
        plain = torch.arange(num_steps, device=steps.device).expand_as(steps)
        short = (lengths <= num_steps)[:, None]
        valid = ~short | (plain < lengths[:, None])
        steps = torch.where(short, torch.minimum(plain, lengths[:, None] - 1), steps)
    clips = features[start[:, None] + steps]  # [M, T, F]
    return torch.where(valid[..., None], clips, 0.0), valid
