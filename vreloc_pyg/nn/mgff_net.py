"""MGFFNet: the relevance of a proposal to a query clip, and how to refine the proposal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

import vreloc_pyg.checkpoint as checkpoint
from vreloc_pyg.errors import CheckpointError, FeatureError, GraphError, SettingsError
from vreloc_pyg.graphs.pair_data import MultiScaleEdges, validate_pair
from vreloc_pyg.graphs.pair_features import PAIR_FEATURES
from vreloc_pyg.graphs.weights import WeightKind, edge_weights
from vreloc_pyg.nn.branches import ConvKind
from vreloc_pyg.nn.dense_layout import DenseLayout, masked_mean
from vreloc_pyg.nn.encoder import ClipEncoder
from vreloc_pyg.nn.heads import BoundaryHead, RegressionHead, ScoreHead
from vreloc_pyg.nn.mgff_layer import MGFFLayer
from vreloc_pyg.nn.mgff_settings import MGFFSettings, preset_settings
from vreloc_pyg.nn.ranking import pool_proposals
from vreloc_pyg.nn.relevance import Pooled, Relevance
from vreloc_pyg.settings import settings_from_dict


class MGFFNet(nn.Module):
    r"""Multi-graph feature fusion network (Zhou et al., 2022, "Graph Neural Network for Video
    Relocalization", section 4).

    .. math::
        H^{(0)} &= [\mathrm{LSTM}_q(q); \mathrm{LSTM}_p(p)] \in \mathbb{R}^{(T_q + T_p) \times d} \\
        H^{(l+1)} &= \mathrm{MGFF}^{(l)}(H^{(l)}), \qquad l = 0, \dots, L - 1 \\
        h &= \mathrm{AvgPool}(H^{(L)}), \qquad
        S(q, p) = \tanh(\mathrm{MLP}_s(h)), \qquad (T_c, T_l) = \mathrm{MLP}_r(h)

    Args:
        in_channels: F, width of the features.
        hidden_channels: d, width of the states and nodes.
        num_layers: L.
        scales: the values of k, one branch each.
        weight: edge weights, ``"binary"`` (paper), ``"exponential"``, ``"laplacian"`` or ``"row"``.
        bandwidth: s of exponential weights in nodes (default: the number of query steps).
        mask_padding: leave padded nodes (``data.mask``) out of the graph and the pooling; the paper pools
            them in.
        dropout: rate on the LSTM states.
        head_channels: hidden widths of both heads.
        aggregate: ``False`` replaces every adjacency by the identity (paper section 5.4.3, "CNN").
        input_norm: batch norm, without scale and shift, and clipping to +- 4 of the input features.
        residual: add a layer's input to its output.
        pool: average over ``"all"`` nodes (paper), or over the query's and the proposal's ``"separate"``-ly,
            which gives the heads 2 d numbers.
        score_gain: factor of the score head's MLP before its tanh.
        pair_features: append ``data.pair_features [B, 6]`` (:class:`vreloc_pyg.graphs.Pairing`) to the pooled
            nodes, and start the score head from the window rule.
        conv: graph convolution of the branches, ``"mgff"`` (paper), ``"gat"`` or ``"sage"``, see
            :class:`~vreloc_pyg.nn.MGFFLayer`.
        regression: read offsets from the ``"pooled"`` nodes (paper), or from the proposal's single ones, as
            the places of its ``"boundaries"`` (:class:`~vreloc_pyg.nn.heads.BoundaryHead`); needs
            ``mask_padding``.
        context: that of the pairs (:class:`vreloc_pyg.graphs.Pairing`), which boundaries depend on.

    Raises:
        SettingsError: for an impossible setting.

    Example:
        >>> from vreloc_pyg.graphs import pair_data
        >>> model = MGFFNet(in_channels=16, hidden_channels=8).eval()
        >>> graph = pair_data(torch.randn(12, 16), torch.randn(20, 16))
        >>> model(graph).score.shape
        torch.Size([1])
    """

    def __init__(
        self,
        in_channels: int = 500,
        hidden_channels: int = 500,
        num_layers: int = 2,
        scales: Sequence[int] = (1, 2, 3),
        weight: WeightKind = "binary",
        bandwidth: float | None = None,
        mask_padding: bool = False,
        dropout: float = 0.4,
        head_channels: Sequence[int] = (128, 32),
        aggregate: bool = True,
        input_norm: bool = False,
        residual: bool = False,
        pool: Literal["all", "separate"] = "all",
        score_gain: float = 1.0,
        pair_features: bool = False,
        conv: ConvKind = "mgff",
        regression: Literal["pooled", "boundaries"] = "pooled",
        context: float = 0.0,
    ) -> None:
        super().__init__()
        self.settings = chosen = MGFFSettings(
            in_channels,
            hidden_channels,
            num_layers,
            tuple(scales),
            weight,
            bandwidth,
            mask_padding,
            dropout,
            tuple(head_channels),
            aggregate,
            input_norm,
            residual,
            pool,
            score_gain,
            pair_features,
            conv,
            regression,
            context,
        )
        width = chosen.hidden_channels
        self.query_encoder = ClipEncoder(chosen.in_channels, width, chosen.dropout)
        self.proposal_encoder = ClipEncoder(chosen.in_channels, width, chosen.dropout)
        self.input_norm = (
            nn.BatchNorm1d(chosen.in_channels, affine=False, momentum=0.02) if chosen.input_norm else None
        )
        layers = [
            MGFFLayer(width, width, chosen.scales, weight, bandwidth, aggregate, residual, conv)
            for _ in range(num_layers)
        ]
        self.layers = cast(Sequence[MGFFLayer], nn.ModuleList(layers))
        num_pair_features = len(PAIR_FEATURES) if chosen.pair_features else 0
        pooled = (width if chosen.pool == "all" else 2 * width) + num_pair_features
        self.score_head = ScoreHead(pooled, chosen.head_channels, chosen.score_gain, num_pair_features)
        self.regression_head = (
            RegressionHead(pooled, chosen.head_channels)
            if chosen.regression == "pooled"
            else BoundaryHead(width, context=chosen.context)
        )

    @classmethod
    def from_preset(cls, preset: str, **overrides: Any) -> MGFFNet:
        """A new model with the settings of ``"paper"`` or ``"recommended"``, single ones replaced.

        The recommended *localizer* also sees pairs in another way, as relative nodes and pair features:
        :func:`vreloc_pyg.training.make_preset` has both halves.

        Raises:
            SettingsError: if the preset or a setting is unknown.
        """
        return cls(**preset_settings(preset, **overrides).to_dict())

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> MGFFNet:
        """A model saved by :meth:`save_pretrained`, in eval mode.

        Raises:
            CheckpointError: if a file is missing, damaged or does not fit the other.
        """
        config = checkpoint.read_config(folder)
        try:
            model = cls(**settings_from_dict(MGFFSettings, config["model"]).to_dict())
        except (KeyError, TypeError, SettingsError) as error:
            path = Path(folder) / checkpoint.CONFIG_NAME
            raise CheckpointError(f"The settings 'model' in {path} are unusable: {error}") from None
        checkpoint.load_weights(folder, model)
        return model.eval()

    def save_pretrained(self, folder: str | Path, **config: Any) -> Path:
        """Write ``model.safetensors`` and ``config.json``; ``config`` is kept beside the settings."""
        return checkpoint.save_model(folder, self, {**config, "model": self.settings.to_dict()})

    def forward(self, data: Data) -> Relevance:
        """Score pairs.

        Args:
            data: a graph of :func:`vreloc_pyg.graphs.pair_data`, or a ``Batch`` of such. With
                ``edge_index_k*`` nodes pass messages over these edges; without any, the standard graph is
                used in closed form.

        Raises:
            GraphError: if the graph is malformed, holds the edges of some scales only, or weights that
                ``conv`` has no use for.
            FeatureError: if the features are of another width or not finite.
        """
        return self.judge(self.pool(data))

    def judge(self, pooled: Pooled) -> Relevance:
        """Both heads on what :meth:`pool` returns."""
        return Relevance(self.score_head(pooled.graph), self.regress(pooled))

    def regress(self, pooled: Pooled) -> Tensor:
        """The offsets ``[B, 2]`` alone."""
        parts = (pooled.graph,) if pooled.nodes is None else (pooled.nodes, pooled.mask)
        offsets: Tensor = self.regression_head(*parts)
        return offsets

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
        if self.settings.weight == "exponential" and not (with_edges or layout.full):
            # These weights depend on node numbers, which differ from those of the layout.
            edges = MultiScaleEdges(scales, "exponential", self.settings.bandwidth)
            data, with_edges = Batch.from_data_list([edges(graph) for graph in data.to_data_list()]), True
        clips = layout.to_dense(data.x)  # [B, Tq + Tp, F]
        query, proposal = clips.split([layout.num_query, layout.num_proposal], dim=1)
        nodes = torch.cat([self.encode_query(query), self.encode_proposal(proposal)], dim=1)
        mask = data.mask if self.settings.mask_padding and "mask" in data else None
        if with_edges:
            pooled = self._pass_messages(layout.to_nodes(nodes), data, layout, mask)
        else:
            pooled = self._pool_closed_form(nodes, layout.num_query, layout.num_proposal, layout.valid(mask))
        return self.append(pooled, data.get("pair_features"))

    def append(self, pooled: Pooled, pair_features: Tensor | None) -> Pooled:
        """Pooled nodes with their pair features ``[B, 6]``, if the model reads them.

        Raises:
            GraphError: if it does and there are none.
        """
        if not self.settings.pair_features:
            return pooled
        shape = (len(pooled.graph), len(PAIR_FEATURES))
        if pair_features is None or pair_features.shape != shape:
            got = None if pair_features is None else tuple(pair_features.shape)
            raise GraphError(f"Expected pair_features as {shape} (got {got}); see vreloc_pyg.graphs.Pairing")
        return pooled._replace(graph=torch.cat([pooled.graph, pair_features], dim=1))

    def encode_query(self, clips: Tensor) -> Tensor:
        """Recurrent states of queries, ``[B, Tq, F] -> [B, Tq, d]``."""
        states: Tensor = self.query_encoder(self._normalized(clips))
        return states

    def encode_proposal(self, clips: Tensor) -> Tensor:
        """Recurrent states of proposals, ``[B, Tp, F] -> [B, Tp, d]``."""
        states: Tensor = self.proposal_encoder(self._normalized(clips))
        return states

    def pool_clips(self, query: Tensor, proposal: Tensor, mask: Tensor | None = None) -> Pooled:
        """:meth:`pool` of the standard graphs of clips ``[B, Tq, F]`` and ``[B, Tp, F]``.

        Args:
            mask: nodes that take part, ``[B, Tq + Tp]``; ``None`` for all.
        """
        nodes = torch.cat([self.encode_query(query), self.encode_proposal(proposal)], dim=1)
        return self._pool_closed_form(nodes, query.size(1), proposal.size(1), mask)

    def _normalized(self, clips: Tensor) -> Tensor:
        if self.input_norm is None:
            return clips
        normal: Tensor = self.input_norm(clips.flatten(0, 1))
        return normal.clamp(-4, 4).view_as(clips)

    def _pass_messages(self, x: Tensor, data: Data, layout: DenseLayout, mask: Tensor | None) -> Pooled:
        edge_indices, weights = [], []
        for k in self.settings.scales:
            edge_index, weight = data[f"edge_index_k{k}"], data.get(f"edge_weight_k{k}")
            if weight is not None and self.settings.conv != "mgff":
                raise GraphError(f"Expected no 'edge_weight_k{k}' with conv={self.settings.conv!r}")
            if mask is not None:
                kept = mask[edge_index[0]] & mask[edge_index[1]]
                edge_index = edge_index[:, kept]
                # Degrees change with the edges; exponential weights depend on the nodes alone.
                weight = (
                    weight[kept] if weight is not None and self.settings.weight == "exponential" else None
                )
            if weight is None and self.settings.weight == "exponential":
                raise GraphError(f"Expected a pair graph with 'edge_weight_k{k}' for exponential weights")
            if weight is None and self.settings.weight != "binary":
                weight = edge_weights(edge_index, 1, self.settings.weight)
            edge_indices.append(edge_index)
            weights.append(weight)
        for layer in self.layers:
            x = layer(x, edge_indices, weights)
        x = layout.to_dense(x)
        return self.pool_nodes(x, layout.num_query, layout.valid(mask))

    def _pool_closed_form(self, x: Tensor, num_query: int, num_proposal: int, mask: Tensor | None) -> Pooled:
        for layer in self.layers:
            x = layer.closed_form(x, num_query, num_proposal, mask)
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

    def rank(
        self,
        query: Tensor,
        proposals: Tensor | Sequence[Tensor],
        proposal_mask: Tensor | None = None,
        pair_features: Tensor | None = None,
    ) -> Relevance:
        """Score M proposals against one query, encoding the query once.

        Equal to :meth:`forward` on the M pairs, see :mod:`vreloc_pyg.nn.ranking` for what is saved.

        Args:
            query: ``[Tq, F]``.
            proposals: clips ``[Tp, F]`` of any lengths, or ``[M, Tp, F]``.
            proposal_mask: which steps of ``[M, Tp, F]`` are no padding, trailing; used with
                ``mask_padding`` only. ``[M, Tp]`` bool.
            pair_features: ``[M, 6]``, where the model reads them.

        Raises:
            FeatureError: if features are of another width, empty or not finite.
        """
        pooled = pool_proposals(self, query, proposals, proposal_mask)
        return self.judge(self.append(pooled, pair_features))
