"""Temporal segments: the only tIoU, non-maximum suppression and offset code of the package.

A segment is a half-open interval ``[start, end)``. Tensors of segments are ``[M, 2]``; functions here
do not care whether the unit is seconds or steps, as long as both operands use the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vreloc_pyg.errors import SegmentError

_NMS_BLOCK = 128


@dataclass(frozen=True)
class Segments:
    """Segments of one video, best first where they carry scores.

    Args:
        bounds: start and end of each segment in seconds, ``[M, 2]`` float64.
        scores: one score per segment, higher is better, ``[M]`` float64; ``None`` if unranked.

    Raises:
        SegmentError: for other shapes, or a segment that is not finite, reversed or empty.
    """

    bounds: Tensor
    scores: Tensor | None = None

    def __post_init__(self) -> None:
        bounds = torch.as_tensor(self.bounds, dtype=torch.float64)
        if bounds.numel() and (bounds.dim() not in (1, 2) or bounds.size(-1) != 2):
            raise SegmentError(f"Expected segments as [M, 2] (got shape {tuple(bounds.shape)})")
        object.__setattr__(self, "bounds", check_segments(bounds.reshape(-1, 2)))
        if self.scores is not None:
            scores = torch.as_tensor(self.scores, dtype=torch.float64)
            if scores.shape != (len(bounds),):
                raise SegmentError(
                    f"Expected one score per segment, {len(bounds)} in all (got shape {tuple(scores.shape)})"
                )
            object.__setattr__(self, "scores", scores)

    def __len__(self) -> int:
        return len(self.bounds)

    def __getitem__(self, index: Tensor | slice) -> Segments:
        return Segments(self.bounds[index], None if self.scores is None else self.scores[index])

    def __iter__(self) -> Iterator[tuple[float, float]]:
        return ((float(start), float(end)) for start, end in self.bounds)

    def ranked(self) -> Segments:
        """The same segments by falling score; equal scores keep their order."""
        if self.scores is None:
            raise SegmentError("These segments carry no scores to rank by")
        return self[torch.argsort(self.scores, descending=True, stable=True)]

    def top(self, n: int, nms_threshold: float | None = None) -> Segments:
        """The ``n`` best segments after non-maximum suppression at ``nms_threshold`` (``None``: none)."""
        ranked = self.ranked()
        if nms_threshold is not None:
            assert ranked.scores is not None
            ranked = ranked[temporal_nms(ranked.bounds, ranked.scores, nms_threshold, max_kept=n)]
        return ranked[slice(0, n)]

    def moments(self, n: int) -> Segments:
        """The ``n`` best segments of which none shares more than half of the shorter with a better one.

        Near-copies of one moment at other lengths have a small tIoU and still are one moment.
        """
        ranked = self.ranked()
        assert ranked.scores is not None
        return ranked[temporal_nms(ranked.bounds, ranked.scores, 0.5, n, overlap_of_shorter)]


@dataclass(frozen=True)
class Ranking:
    """Every candidate of a reference, scored.

    Args:
        windows: half-open step intervals, ``[M, 2]`` int64.
        segments: the answers they stand for, refined where the system refines, with scores.
    """

    windows: Tensor
    segments: Segments

    def curve(self, num_steps: int, least: float | None = None) -> Tensor:
        """Best score of the windows that cover each of the reference's steps, ``[num_steps]``.

        Where none does it is ``least``, by default the least score of any window; a :class:`SegmentError` if
        there is neither.
        """
        scores = self.segments.scores
        if scores is None or (least is None and not len(scores)):
            raise SegmentError("No window has a score, so that the steps have none either")
        least = float(scores.min()) if least is None else least
        return covering_maximum(self.windows, scores, num_steps).clamp(min=least)


def check_segments(segments: Tensor, duration: float | None = None, what: str = "segment") -> Tensor:
    """Return ``segments`` ``[M, 2]`` unchanged, or raise :class:`SegmentError` naming the first bad one."""
    start, end = segments.unbind(-1)
    bad = ~torch.isfinite(segments).all(-1) | (end <= start)
    problem = "is not finite, empty or reversed"
    if duration is not None and not bad.any():
        # A boundary read from a text file may lie past the last step by a rounding error only.
        slack = 1e-6 * max(1.0, duration)
        bad = (start < -slack) | (end > duration + slack)
        problem = f"lies outside its video [0, {duration:g})"
    if bad.any():
        index = int(bad.nonzero()[0, 0])
        low, high = segments[index].tolist()
        raise SegmentError(f"The {what} {index} = [{low:g}, {high:g}) {problem}")
    return segments


def check_windows(windows: Tensor, num_steps: int) -> Tensor:
    """Return step intervals ``[M, 2]`` int64 unchanged, if none is empty or leaves ``[0, num_steps]``.

    Raises:
        SegmentError: if one does, naming the first.
    """
    start, end = windows.unbind(-1)
    bad = (start < 0) | (end <= start) | (end > num_steps)
    if bad.any():
        index = int(bad.nonzero()[0, 0])
        raise SegmentError(
            f"Expected windows as non-empty step intervals within [0, {num_steps}) "
            f"(got {windows[index].tolist()} at {index})"
        )
    return windows


def temporal_iou(a: Tensor, b: Tensor) -> Tensor:
    """Temporal intersection over union of every pair of segments, ``[..., M, N]`` in [0, 1].

    .. math::
        \\mathrm{tIoU}(a, b) = \\frac{\\max(0, \\min(a_e, b_e) - \\max(a_s, b_s))}
        {(a_e - a_s) + (b_e - b_s) - \\mathrm{intersection}}

    Args:
        a, b: segments ``[..., M, 2]`` and ``[..., N, 2]``; an empty one overlaps nothing.
    """
    a, b = a.unsqueeze(-2), b.unsqueeze(-3)
    if not (a.is_floating_point() or b.is_floating_point()):
        a = a.double()
    intersection = torch.minimum(a[..., 1], b[..., 1]) - torch.maximum(a[..., 0], b[..., 0])
    intersection = intersection.clamp(min=0)
    union = (a[..., 1] - a[..., 0]) + (b[..., 1] - b[..., 0]) - intersection
    return torch.where(union > 0, intersection / union.clamp(min=torch.finfo(union.dtype).tiny), 0.0)


def overlap_of_shorter(a: Tensor, b: Tensor) -> Tensor:
    """Share of the shorter of every pair of segments that lies in the longer, ``[M, N]`` in [0, 1].

    Args:
        a, b: segments ``[M, 2]`` and ``[N, 2]``, none of them empty.
    """
    a, b = a[:, None].double(), b[None].double()
    both = (torch.minimum(a[..., 1], b[..., 1]) - torch.maximum(a[..., 0], b[..., 0])).clamp(min=0)
    return both / torch.minimum(a[..., 1] - a[..., 0], b[..., 1] - b[..., 0])


def temporal_nms(
    segments: Tensor,
    scores: Tensor,
    threshold: float,
    max_kept: int | None = None,
    overlap: Callable[[Tensor, Tensor], Tensor] = temporal_iou,
) -> Tensor:
    """Indices kept by greedy non-maximum suppression, best first.

    A segment is dropped when its overlap with an already kept one is above ``threshold``.

    Args:
        segments, scores: ``[M, 2]`` and ``[M]``; equal scores keep their order.
        threshold: in [0, 1].
        max_kept: stop once this many are kept.
        overlap: how much two sets of segments share, ``[M, N]``.
    """
    order = torch.argsort(scores, descending=True, stable=True)
    ranked = segments[order]
    kept = torch.zeros(len(order), dtype=torch.bool)
    # In blocks: overlaps of a block with itself and with what is kept are two matrices, whatever M is.
    for first in range(0, len(order), _NMS_BLOCK):
        block = ranked[first : first + _NMS_BLOCK]
        dropped = (overlap(ranked[:first][kept[:first]], block) > threshold).any(0).cpu().numpy()
        drops = (overlap(block, block) > threshold).cpu().numpy()
        for row in range(len(block)):
            if not dropped[row]:
                dropped[row + 1 :] |= drops[row, row + 1 :]
        kept[first : first + len(block)] = torch.from_numpy(~dropped)
        if max_kept is not None and int(kept.sum()) >= max_kept:
            break
    return order[kept.to(order.device)][:max_kept]


def covering_maximum(windows: Tensor, scores: Tensor, num_steps: int) -> Tensor:
    """Best score of the windows that cover each step, ``[num_steps]``; minus infinity where none does.

    A window is the union of two overlapping ones whose lengths are powers of two, so the work grows with the
    windows plus ``num_steps`` times its logarithm.

    Args:
        windows: half-open step intervals within ``[0, num_steps]``, ``[M, 2]`` int64.
        scores: ``[M]``.
    """
    start, length = windows[:, 0], windows[:, 1] - windows[:, 0]
    level = torch.floor(torch.log2(length.double())).long()
    best = scores.new_full((num_steps,), -torch.inf)
    if not len(windows):
        return best
    for power in range(int(level.max()), -1, -1):
        ours = level == power
        for first in (start[ours], start[ours] + length[ours] - 2**power):
            best = best.scatter_reduce(0, first, scores[ours], "amax")
        if power:  # hand the maximum of each block to its two halves
            half = 2 ** (power - 1)
            best[half:] = torch.maximum(best[half:], best[: num_steps - half].clone())
    return best


def encode_offsets(proposals: Tensor, truths: Tensor) -> Tensor:
    """Regression targets ``(T_c, T_l)`` of proposals for their true segments (paper section 4.7.2).

    .. math::
        T_c = \\frac{\\mathrm{loc} - \\mathrm{loc}^*}{\\mathrm{len}^*}, \\qquad
        T_l = \\log \\frac{\\mathrm{len}}{\\mathrm{len}^*}

    where loc and len are a proposal's centre and length, starred those of the truth; all are ``[..., 2]``.
    """
    length, true_length = proposals[..., 1] - proposals[..., 0], truths[..., 1] - truths[..., 0]
    shift = (proposals.sum(-1) - truths.sum(-1)) / 2
    return torch.stack([shift / true_length, torch.log(length / true_length)], dim=-1)


def decode_offsets(proposals: Tensor, offsets: Tensor) -> Tensor:
    """Segments ``[..., 2]`` refined by predicted offsets, inverse of :func:`encode_offsets` (section 4.8.2).

    .. math::
        \\mathrm{len}^* = e^{-T_l}\\,\\mathrm{len}, \\qquad
        \\mathrm{loc}^* = \\mathrm{loc} - T_c\\,\\mathrm{len}^*, \\qquad
        [s, e] = \\mathrm{loc}^* \\mp \\tfrac12 \\mathrm{len}^*
    """
    length = (proposals[..., 1] - proposals[..., 0]) * torch.exp(-offsets[..., 1])
    centre = proposals.sum(-1) / 2 - offsets[..., 0] * length
    return torch.stack([centre - length / 2, centre + length / 2], dim=-1)


def clip_segments(segments: Tensor, duration: float, min_length: float) -> Tensor:
    """Move segments inside ``[0, duration]`` and widen those shorter than ``min_length`` evenly."""
    min_length = min(min_length, duration)
    start, end = segments.clamp(0, duration).unbind(-1)
    centre = ((start + end) / 2).clamp(min_length / 2, duration - min_length / 2)
    short = end - start < min_length
    start = torch.where(short, centre - min_length / 2, start)
    end = torch.where(short, centre + min_length / 2, end)
    return torch.stack([start, end], dim=-1)


def seconds_to_steps(segments: Tensor, seconds_per_step: float, num_steps: int) -> Tensor:
    """Nearest non-empty step intervals of segments in seconds, ``[..., 2]`` int64 in ``[0, num_steps]``."""
    steps = torch.round(segments / seconds_per_step).long()
    start = steps[..., 0].clamp(0, num_steps - 1)
    end = torch.maximum(steps[..., 1].clamp(max=num_steps), start + 1)
    return torch.stack([start, end], dim=-1)


def steps_to_seconds(segments: Tensor, seconds_per_step: float) -> Tensor:
    """Seconds of half-open step intervals, ``[..., 2]`` float64."""
    return segments.to(torch.float64) * seconds_per_step


def spans_text(segments: Tensor) -> str:
    """Segments ``[M, 2]`` as text, every digit kept: ``"0.5:2.0;7.0:9.25"``; empty without any."""
    return ";".join(f"{start!r}:{end!r}" for start, end in segments.tolist())


def read_spans(text: str) -> Tensor:
    """Segments of :func:`spans_text`, ``[M, 2]`` float64; other text is a :class:`SegmentError`."""
    try:
        spans = [list(map(float, span.split(":"))) for span in text.split(";")] if text else []
        return torch.tensor(spans, dtype=torch.float64).reshape(len(spans), 2)
    except (ValueError, RuntimeError):
        raise SegmentError(f"Expected segments such as '0.5:2.0;7.0:9.25' (got {text!r})") from None
