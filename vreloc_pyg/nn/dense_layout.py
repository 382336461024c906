"""A batch of pairs of different lengths as one dense tensor, and back."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import Data


class DenseLayout:
    """Where the nodes of a batch of pairs lie in ``[B, Tq + Tp, ...]`` with Tq and Tp the longest clips."""

    def __init__(self, data: Data) -> None:
        queries, proposals = data.num_query.reshape(-1), data.num_proposal.reshape(-1)
        self.num_graphs = len(queries)
        self.num_query, self.num_proposal = int(queries.max()), int(proposals.max())
        width = self.num_query + self.num_proposal
        device = data.x.device
        self.lengths = lengths = torch.stack([queries, proposals], dim=1).to(device)  # [B, 2]
        self.full = bool((lengths == lengths[0]).all())
        if not self.full:
            first = torch.tensor([0, self.num_query], device=device)
            offsets = torch.arange(self.num_graphs, device=device).unsqueeze(1) * width + first
            clip = torch.arange(2 * self.num_graphs, device=device).repeat_interleave(lengths.flatten())
            ends = lengths.flatten().cumsum(0)
            step = torch.arange(len(clip), device=device) - (ends - lengths.flatten())[clip]
            self.slots = offsets.flatten()[clip] + step

    def to_dense(self, nodes: Tensor) -> Tensor:
        """``[N_total, F] -> [B, Tq + Tp, F]`` with zeros behind short clips."""
        width = self.num_query + self.num_proposal
        if self.full:
            return nodes.view(self.num_graphs, width, -1)
        dense = nodes.new_zeros(self.num_graphs * width, *nodes.shape[1:])
        dense[self.slots] = nodes
        return dense.view(self.num_graphs, width, -1)

    def to_dense_edges(self, logits: Tensor) -> Tensor:
        """Logits of the edges between both clips of every pair, ``[sum of Tq Tp, H] -> [B, H, Tq, Tp]``.

        Those of one pair lie row by row, by query steps; there are zeros behind short clips.
        """
        if self.full:
            return logits.view(self.num_graphs, self.num_query, self.num_proposal, -1).permute(0, 3, 1, 2)
        dense = logits.new_zeros(self.num_graphs, logits.size(1), self.num_query, self.num_proposal)
        sizes = self.lengths.tolist()
        for pair, ((rows, columns), own) in enumerate(
            zip(sizes, logits.split([rows * columns for rows, columns in sizes]), strict=True)
        ):
            dense[pair, :, :rows, :columns] = own.view(rows, columns, -1).permute(2, 0, 1)
        return dense

    def to_nodes(self, dense: Tensor) -> Tensor:
        """The inverse of :meth:`to_dense`."""
        flat = dense.flatten(0, 1)
        return flat if self.full else flat[self.slots]

    def valid(self, mask: Tensor | None) -> Tensor | None:
        """Which slots hold a node that takes part, ``[B, Tq + Tp]``; ``None`` if all do."""
        if self.full:
            return None if mask is None else mask.view(self.num_graphs, -1)
        kept = torch.ones_like(self.slots, dtype=torch.bool) if mask is None else mask
        return self.to_dense(kept.unsqueeze(-1)).squeeze(-1)


def masked_mean(x: Tensor, mask: Tensor | None) -> Tensor:
    """Mean over the nodes of every graph, ``[B, N, d] -> [B, d]``; ``mask [B, N]`` picks them."""
    if mask is None:
        return x.mean(dim=1)
    kept = mask.unsqueeze(-1).to(x.dtype)
    return (x * kept).sum(dim=1) / kept.sum(dim=1)
