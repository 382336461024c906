"""Sums over the neighbours of a pair graph at several scales at once, and their gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

#: Numbers of a block of graphs: what is made of it stays in a processor's cache.
BLOCK = 2**20


def pair_sums(x: Tensor, num_query: int, scales: tuple[int, ...]) -> tuple[Tensor, ...]:
    r""":math:`(A_{k_1} x, \dots, A_{k_K} x)` of nodes ``[..., N, d]``, see :func:`.multi_scale_sums`."""
    if not torch.compiler.is_compiling():
        found: tuple[Tensor, ...] = PairSums.apply(x, num_query, scales)
        return found
    # A traced program finds its own gradient, and its own blocks.
    outs = tuple(torch.empty_like(x) for _ in scales)
    _sums_(x, *outs, num_query=num_query, scales=scales)
    return outs


class PairSums(torch.autograd.Function):
    r""":func:`pair_sums` with a gradient in few passes.

    Windows grow from one scale to the next, so that each costs two additions of a row for every step that it
    is longer. The gradient is :math:`\sum_k A_k g_k`, as every :math:`A_k` is symmetric.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, num_query: int, scales: tuple[int, ...]) -> tuple[Tensor, ...]:
        ctx.num_query, ctx.scales = num_query, scales
        outs = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in scales]
        for block in _blocks(x, *outs):
            _sums_(*block, num_query=num_query, scales=scales)
        return tuple(outs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return SumOfSums.apply(ctx.num_query, ctx.scales, *grads), None, None


class SumOfSums(torch.autograd.Function):
    r""":math:`\sum_k A_k g_k`, the gradient of :class:`PairSums`, whose gradient is that again."""

    @staticmethod
    def forward(ctx: Any, num_query: int, scales: tuple[int, ...], *grads: Tensor) -> Tensor:
        ctx.num_query, ctx.scales = num_query, scales
        out = torch.empty_like(grads[0], memory_format=torch.contiguous_format)
        for block in _blocks(out, *grads):
            _sum_of_sums_(*block, num_query=num_query, scales=scales)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *PairSums.apply(grad, ctx.num_query, ctx.scales)


def _blocks(*tensors: Tensor) -> Any:
    """The same few graphs of every tensor, one block after the other."""
    if tensors[0].dim() == 2:
        return [tensors]
    flat = [tensor.flatten(0, -3) for tensor in tensors]
    size = max(1, BLOCK * torch.get_num_threads() // max(1, flat[0][:1].numel()))
    return zip(*(tensor.split(size) for tensor in flat), strict=True)


def _rising(scales: tuple[int, ...], tensors: tuple[Tensor, ...]) -> list[tuple[int, Tensor]]:
    """Scales and what belongs to them, the smallest first."""
    return sorted(zip(scales, tensors, strict=True), key=lambda pair: pair[0])


def _sums_(x: Tensor, *outs: Tensor, num_query: int, scales: tuple[int, ...]) -> None:
    """Write the sums of every scale to ``outs``."""
    window, reach = x, 0
    for k, out in _rising(scales, outs):
        _widen_(out, window, x, num_query, reach, k)
        window, reach = out, k
    for k, out in zip(scales, outs, strict=True):
        _add_across_(out, x, num_query, k)


def _sum_of_sums_(out: Tensor, *grads: Tensor, num_query: int, scales: tuple[int, ...]) -> None:
    """Write the sum over scales of the sums of ``grads`` to ``out``."""
    # Steps so far away are in the windows of their own scale and of all that reach farther: from these down.
    by_reach = _rising(scales, grads)
    reaching = [by_reach[-1][1]]
    for _, grad in by_reach[-2::-1]:
        reaching.insert(0, grad + reaching[0])
    window, reach = reaching[0], 0
    for (k, _), summed in zip(by_reach, reaching, strict=True):
        _widen_(out, window, summed, num_query, reach, k)
        window, reach = out, k
    for k, grad in by_reach:
        _add_across_(out, grad, num_query, k)


def _widen_(out: Tensor, window: Tensor, nodes: Tensor, num_query: int, reach: int, k: int) -> None:
    """Write ``window``, and the nodes of the same clip that are more than ``reach`` steps away, up to k."""
    clips = (_clips(one, num_query) for one in (out, window, nodes))
    for into, before, clip in zip(*clips, strict=True):
        gap, last = reach + 1, min(k, clip.size(-2) - 1)
        if out is not window and gap <= last:  # a pass less than to copy first
            into[..., :gap, :].copy_(before[..., :gap, :])
            _add_into_(into[..., gap:, :], before[..., gap:, :], clip[..., :-gap, :])
            into[..., :-gap, :].add_(clip[..., gap:, :])
            gap += 1
        elif out is not window:
            into.copy_(before)
        for away in range(gap, last + 1):
            into[..., away:, :].add_(clip[..., :-away, :])
            into[..., :-away, :].add_(clip[..., away:, :])


def _clips(nodes: Tensor, num_query: int) -> tuple[Tensor, ...]:
    """Query and proposal, ``[..., T, d]`` each; of clips of one length both together, ``[..., 2, T, d]``."""
    if nodes.size(-2) == 2 * num_query:
        return (nodes.unflatten(-2, (2, num_query)),)
    return nodes[..., :num_query, :], nodes[..., num_query:, :]


def _add_into_(out: Tensor, first: Tensor, second: Tensor) -> None:
    if torch.compiler.is_compiling():  # which takes no views to write to
        out.copy_(first + second)
    else:
        torch.add(first, second, out=out)


def _add_across_(out: Tensor, nodes: Tensor, num_query: int, k: int) -> None:
    """Add to every step the steps of the other clip that are congruent modulo k."""
    clips, sources = _clips(out, num_query), _clips(nodes, num_query)
    sums = [_residue_sums(clip, k) for clip in sources]
    others = [sums[0].flip(-3)] if len(sums) == 1 else sums[::-1]
    for clip, rows in zip(clips, others, strict=True):
        whole = clip.size(-2) // k * k
        clip[..., :whole, :].unflatten(-2, (whole // k, k)).add_(rows.unsqueeze(-3))
        clip[..., whole:, :].add_(rows[..., : clip.size(-2) - whole, :])


def _residue_sums(clip: Tensor, k: int) -> Tensor:
    """Sums of the steps congruent to 0 .. k-1 modulo k, ``[..., k, d]``."""
    whole = clip.size(-2) // k * k
    sums = clip[..., :whole, :].unflatten(-2, (whole // k, k)).sum(-3)
    sums[..., : clip.size(-2) - whole, :] += clip[..., whole:, :]
    return sums
