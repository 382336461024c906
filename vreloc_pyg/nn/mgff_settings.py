"""Settings of MGFFNet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vreloc_pyg.errors import SettingsError
from vreloc_pyg.graphs.matching import Head
from vreloc_pyg.graphs.pair_features import MATCH_FEATURES, PAIR_FEATURES
from vreloc_pyg.graphs.weights import WeightKind
from vreloc_pyg.settings import Below1, CheckedSettings, Context, Count, Positive, Steps


@dataclass(frozen=True)
class MGFFSettings(CheckedSettings):
    """What decides the shape and the arithmetic of :class:`~vreloc_pyg.nn.MGFFNet`; the defaults are the
    paper's.

    Args:
        in_channels: F, width of the features.
        hidden_channels: d, width of the states and nodes.
        num_layers: L.
        scales: the values of k, one branch each.
        weight: edge weights, ``"binary"`` (paper) or another of
            :data:`~vreloc_pyg.graphs.weights.EDGE_WEIGHTS`.
        bandwidth: s of exponential weights in nodes; ``None``: the number of query steps.
        mask_padding: leave padded nodes (``data.mask``) out of the graph and the pooling; the paper pools
            them in.
        dropout: rate on the LSTM states.
        head_channels: hidden widths of both heads.
        conv: ``"sum"`` (paper): :class:`~vreloc_pyg.nn.MGFFConv` with ``weight``; ``"match"``:
            :class:`~vreloc_pyg.nn.MatchConv`, whose edges weigh as their ``heads`` say; or ``"gatv2"``:
            :class:`~vreloc_pyg.nn.attention_conv.AttentionConv`, which learns how they weigh.
        heads: of the edges between both clips, of :data:`~vreloc_pyg.graphs.matching.HEADS`.
        aggregate: ``False`` replaces every adjacency by the identity (paper section 5.4.3, "CNN").
        input_norm: batch norm, without scale and shift, and clipping to +- 4 of the input features.
        residual: add a layer's input to its output.
        pool: average over ``"all"`` nodes (paper), or over the query's and the proposal's ``"separate"``-ly,
            which gives the heads 2 d numbers.
        score_gain: factor of the score head's MLP before its tanh.
        pair_features: append ``data.pair_features [B, 6]`` (:class:`vreloc_pyg.graphs.Pairing`) to the pooled
            nodes, and start the score head from the window rule; or ``[B, 7]`` with another ``conv`` than
            ``"sum"``, and from the alignment.
        regression: read offsets from the ``"pooled"`` nodes (paper), or from the proposal's single ones, as
            the places of its ``"boundaries"`` (:class:`~vreloc_pyg.nn.heads.BoundaryHead`); needs
            ``mask_padding``.
        context: that of the pairs (:class:`vreloc_pyg.graphs.Pairing`), which boundaries depend on.
    """

    in_channels: Count = 500
    hidden_channels: Count = 500
    num_layers: Count = 2
    scales: tuple[Steps, ...] = (1, 2, 3)
    weight: WeightKind = "binary"
    bandwidth: Positive | None = None
    mask_padding: bool = False
    dropout: Below1 = 0.4
    head_channels: tuple[Count, ...] = (128, 32)
    conv: Literal["sum", "match", "gatv2"] = "sum"
    heads: tuple[Head, ...] = ()
    aggregate: bool = True
    input_norm: bool = False
    residual: bool = False
    pool: Literal["all", "separate"] = "all"
    score_gain: float = 1.0
    pair_features: bool = False
    regression: Literal["pooled", "boundaries"] = "pooled"
    context: Context = 0.0

    @property
    def num_pair_features(self) -> int:
        """How many numbers beside the graph the heads read."""
        if not self.pair_features:
            return 0
        return len(MATCH_FEATURES if self.conv != "sum" else PAIR_FEATURES)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.regression == "boundaries" and not self.mask_padding:
            raise SettingsError(
                "regression='boundaries' needs mask_padding: padding has no place in a window"
            )
