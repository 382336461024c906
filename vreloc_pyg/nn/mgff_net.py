"""MGFFNet: the relevance of a proposal to a query clip, and how to refine the proposal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torch_geometric.data import Data

import vreloc_pyg.checkpoint as checkpoint
from vreloc_pyg.errors import CheckpointError
from vreloc_pyg.nn.heads import BoundaryHead, RegressionHead, ScoreHead
from vreloc_pyg.nn.mgff_settings import MGFFSettings
from vreloc_pyg.nn.ranking import pool_proposals
from vreloc_pyg.nn.relevance import Pooled, Relevance
from vreloc_pyg.nn.trunk import Trunk
from vreloc_pyg.settings import settings_of


class MGFFNet(Trunk):
    r"""Multi-graph feature fusion network (Zhou et al., 2022, "Graph Neural Network for Video
    Relocalization", section 4).

    .. math::
        H^{(0)} &= [\mathrm{LSTM}_q(q); \mathrm{LSTM}_p(p)] \in \mathbb{R}^{(T_q + T_p) \times d} \\
        H^{(l+1)} &= \mathrm{MGFF}^{(l)}(H^{(l)}), \qquad l = 0, \dots, L - 1 \\
        h &= \mathrm{AvgPool}(H^{(L)}), \qquad
        S(q, p) = \tanh(\mathrm{MLP}_s(h)), \qquad (T_c, T_l) = \mathrm{MLP}_r(h)

    Args:
        settings: of which the network keeps its own, where an object has more.
        fields: single settings, in place of those of ``settings`` or the paper's.

    Example:
        >>> import torch
        >>> from vreloc_pyg.graphs import pair_data
        >>> model = MGFFNet(in_channels=16, hidden_channels=8).eval()
        >>> graph = pair_data(torch.randn(12, 16), torch.randn(20, 16))
        >>> model(graph).score.shape
        torch.Size([1])
    """

    def __init__(self, settings: MGFFSettings | None = None, **fields: Any) -> None:
        given = MGFFSettings() if settings is None else settings
        super().__init__(settings_of(MGFFSettings, given, fields))
        chosen = self.settings
        width = chosen.hidden_channels
        num_pair_features = chosen.num_pair_features
        pooled = (width if chosen.pool == "all" else 2 * width) + num_pair_features
        self.score_head = ScoreHead(pooled, chosen.head_channels, chosen.score_gain, num_pair_features)
        self.regression_head = (
            RegressionHead(pooled, chosen.head_channels)
            if chosen.regression == "pooled"
            else BoundaryHead(width, context=chosen.context)
        )

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> MGFFNet:
        """A model saved by :meth:`save_pretrained`, in eval mode; else a :class:`CheckpointError`."""
        config = checkpoint.read_config(folder)
        try:
            checkpoint.check_network(folder, lambda: cls(**config["model"]))
            model = cls(**config["model"])
        except (KeyError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
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
            GraphError: if the graph is malformed, or holds the edges of some scales only.
            FeatureError: if the features are of another width or not finite.
        """
        return self.judge(self.pool(data))

    def score_clips(
        self,
        query: Tensor,
        proposal: Tensor,
        mask: Tensor | None = None,
        pair_features: Tensor | None = None,
        logits: Tensor | None = None,
    ) -> Relevance:
        """Score pairs of clips of one length each: :meth:`forward` on their standard graphs, from tensors.

        ``torch.compile``, ``torch.export`` and ``torch.onnx.export`` take this form; values are not checked.

        Args:
            query, proposal: ``[B, Tq, F]`` and ``[B, Tp, F]``.
            mask: which steps take part, ``[B, Tq + Tp]`` bool; ``None`` for all.
            pair_features: where the model reads them, ``[B, 6]`` or ``[B, 7]``.
            logits: of the edges between both clips, unless ``conv="sum"``, ``[B, H, Tq, Tp]``.
        """
        return self.judge(self.append(self.pool_clips(query, proposal, mask, logits), pair_features))

    def judge(self, pooled: Pooled) -> Relevance:
        """Both heads on what :meth:`pool` returns."""
        return Relevance(self.score_head(pooled.graph), self.regress(pooled))

    def regress(self, pooled: Pooled) -> Tensor:
        """The offsets ``[B, 2]`` alone."""
        parts = (pooled.graph,) if pooled.nodes is None else (pooled.nodes, pooled.mask)
        offsets: Tensor = self.regression_head(*parts)
        return offsets

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
            pair_features: ``[M, 6]``, or 7, where the model reads them.
        """
        pooled = pool_proposals(self, query, proposals, proposal_mask)
        return self.judge(self.append(pooled, pair_features))
