"""The part of MGFFNet below its heads: clips are encoded, joined by graphs, and pooled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from vreloc_pyg.errors import FeatureError, GraphError
from vreloc_pyg.graphs.pair_data import MultiScaleEdges, standard_edges, validate_pair
from vreloc_pyg.graphs.weights import EDGE_WEIGHTS, edge_weights
from vreloc_pyg.nn.dense_layout import DenseLayout, masked_mean
from vreloc_pyg.nn.encoder import ClipEncoder
from vreloc_pyg.nn.match_conv import match_weights
from vreloc_pyg.nn.mgff_layer import MGFFLayer
from vreloc_pyg.nn.mgff_settings import MGFFSettings
from vreloc_pyg.nn.relevance import Pooled


class Trunk(nn.Module):
    """Recurrent encoders, graph layers and pooling; :class:`~vreloc_pyg.nn.MGFFNet` adds the heads."""

    def __init__(self, settings: MGFFSettings) -> None:
        super().__init__()
        self.settings = chosen = settings
        width = chosen.hidden_channels
        self.query_encoder = ClipEncoder(chosen.in_channels, width, chosen.dropout)
        self.proposal_encoder = ClipEncoder(chosen.in_channels, width, chosen.dropout)
        self.input_norm = (
            nn.BatchNorm1d(chosen.in_channels, affine=False, momentum=0.02) if chosen.input_norm else None
        )
        heads = len(chosen.heads) if self.matches else None
        graph = chosen.scales, chosen.weight, chosen.bandwidth, chosen.aggregate, chosen.residual, heads
        attention = chosen.conv == "gatv2"
        layers = [MGFFLayer(width, width, *graph, attention) for _ in range(chosen.num_layers)]
        self.layers = cast(Sequence[MGFFLayer], nn.ModuleList(layers))

    @property
    def matches(self) -> bool:
        """Whether its layers read what edges carry: :class:`~vreloc_pyg.nn.MatchConv`, or GATv2 instead."""
        return self.settings.aggregate and self.settings.conv != "sum"

    def pool(self, data: Data) -> Pooled:
        """What the heads read of every graph: averages of the last layer's nodes, and pair features."""
        scales = self.settings.scales
        with_edges = any(f"edge_index_k{k}" in data for k in scales)
        validate_pair(data, scales if with_edges else ())
        if data.x.size(1) != self.settings.in_channels:
            raise FeatureError(
                f"Expected features of width in_channels = {self.settings.in_channels} (got {data.x.size(1)})"
            )
        layout = DenseLayout(data)
        weight = self.settings.weight
        if EDGE_WEIGHTS[weight].positions is not None and not (with_edges or layout.full):
            # These weights depend on node numbers, which differ from those of the layout.
            edges = MultiScaleEdges(scales, weight, self.settings.bandwidth, self.settings.mask_padding)
            data, with_edges = Batch.from_data_list([edges(graph) for graph in data.to_data_list()]), True
        clips = layout.to_dense(data.x)  # [B, Tq + Tp, F]
        query, proposal = clips.split([layout.num_query, layout.num_proposal], dim=1)
        nodes = torch.cat([self.encode_query(query), self.encode_proposal(proposal)], dim=1)
        mask = data.mask if self.settings.mask_padding and "mask" in data else None
        if with_edges:
            pooled = self._pass_messages(layout.to_nodes(nodes), data, layout, mask)
        else:
            logits = layout.to_dense_edges(data.match_logits) if "match_logits" in data else None
            pooled = self._pool_closed_form(
                nodes, layout.num_query, layout.num_proposal, layout.valid(mask), logits
            )
        return self.append(pooled, data.get("pair_features"))

    def append(self, pooled: Pooled, pair_features: Tensor | None) -> Pooled:
        """Pooled nodes with their pair features ``[B, 6]``, or 7, if the model reads them."""
        if not self.settings.pair_features:
            return pooled
        shape = (len(pooled.graph), self.settings.num_pair_features)
        if pair_features is None or pair_features.shape != shape:
            got = None if pair_features is None else tuple(pair_features.shape)
            raise GraphError(f"Expected pair_features as {shape} (got {got}); see vreloc_pyg.graphs.Pairing")
        return Pooled(torch.cat([pooled.graph, pair_features], dim=1), pooled.nodes, pooled.mask)

    def encode_query(self, clips: Tensor) -> Tensor:
        """Recurrent states of queries, ``[B, Tq, F] -> [B, Tq, d]``."""
        states: Tensor = self.query_encoder(self.normalized(clips))
        return states

    def encode_proposal(self, clips: Tensor) -> Tensor:
        """Recurrent states of proposals, ``[B, Tp, F] -> [B, Tp, d]``."""
        states: Tensor = self.proposal_encoder(self.normalized(clips))
        return states

    def pool_clips(
        self, query: Tensor, proposal: Tensor, mask: Tensor | None = None, logits: Tensor | None = None
    ) -> Pooled:
        """:meth:`pool` of the standard graphs of clips ``[B, Tq, F]`` and ``[B, Tp, F]``.

        The mask, ``[B, Tq + Tp]``, says which nodes take part; ``None`` for all. Logits are those of the
        edges between both clips, ``[B, H, Tq, Tp]``, unless ``conv="sum"``.
        """
        nodes = torch.cat([self.encode_query(query), self.encode_proposal(proposal)], dim=1)
        return self._pool_closed_form(nodes, query.size(1), proposal.size(1), mask, logits)

    def normalized(self, clips: Tensor) -> Tensor:
        """Features ``[..., F]`` after the input norm, where there is one."""
        if self.input_norm is None:
            return clips
        normal: Tensor = self.input_norm(clips.flatten(0, -2))
        return normal.clamp(-4, 4).view_as(clips)

    def _pass_messages(self, x: Tensor, data: Data, layout: DenseLayout, mask: Tensor | None) -> Pooled:
        kind = EDGE_WEIGHTS["binary" if self.matches else self.settings.weight]
        edge_indices, weights = [], []
        for k in self.settings.scales:
            name = f"edge_attr_k{k}" if self.matches else f"edge_weight_k{k}"
            edge_index, weight = data[f"edge_index_k{k}"], data.get(name)
            if mask is not None:
                kept = mask[edge_index].all(0)
                edge_index, weight = edge_index[:, kept], None if weight is None else weight[kept]
            if weight is None and kind.positions is not None:
                raise GraphError(
                    f"Expected a pair graph with 'edge_weight_k{k}' for {self.settings.weight} weights"
                )
            if weight is None and not kind.all_ones:
                weight = edge_weights(edge_index, 1, self.settings.weight)
            edge_indices.append(edge_index)
            weights.append(weight)
        for layer in self.layers:
            x = layer(x, edge_indices, weights)
        x = layout.to_dense(x)
        return self.pool_nodes(x, layout.num_query, layout.valid(mask))

    def _pool_closed_form(
        self, x: Tensor, num_query: int, num_proposal: int, mask: Tensor | None, logits: Tensor | None
    ) -> Pooled:
        weights = None
        if self.matches:
            shape = len(x), len(self.settings.heads), num_query, num_proposal
            if not self.settings.heads:
                logits = x.new_zeros(shape)
            if logits is None or logits.shape != shape:
                got = None if logits is None else tuple(logits.shape)
                raise GraphError(f"Expected match_logits of edges as {shape} (got {got})")
            if self.settings.conv == "gatv2":
                edges = standard_edges(logits, self.settings.scales, mask)
                for layer in self.layers:
                    x = layer(x.flatten(0, 1), *edges).view_as(x)
                return self.pool_nodes(x, num_query, mask)
            weights = match_weights(logits, self.settings.scales, mask)
        for layer in self.layers:
            x = layer.closed_form(x, num_query, num_proposal, mask, weights)
        return self.pool_nodes(x, num_query, mask)

    def pool_nodes(self, x: Tensor, num_query: int, mask: Tensor | None) -> Pooled:
        """What the heads read of the last layer's nodes ``[B, N, d]``, apart from pair features."""
        averages = self.average(x, num_query, mask)
        if self.settings.regression == "pooled":
            return Pooled(averages)
        return Pooled(averages, x[:, num_query:], None if mask is None else mask[:, num_query:])

    def average(self, x: Tensor, num_query: int, mask: Tensor | None) -> Tensor:
        """Average over nodes, ``[B, N, d] -> [B, d]``, or ``[B, 2 d]`` with ``pool="separate"``."""
        if self.settings.pool == "all":
            return masked_mean(x, mask)
        first, second = x[:, :num_query], x[:, num_query:]
        if mask is None:
            return torch.cat([first.mean(dim=1), second.mean(dim=1)], dim=1)
        halves = masked_mean(first, mask[:, :num_query]), masked_mean(second, mask[:, num_query:])
        return torch.cat(halves, dim=1)
