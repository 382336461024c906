"""MGFFNet over the windows of a reference."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from vreloc_pyg.graphs.pairing import Pairing
from vreloc_pyg.graphs.weights import EDGE_WEIGHTS
from vreloc_pyg.nn.folded import pool_pairs
from vreloc_pyg.nn.folded_match import pool_matched
from vreloc_pyg.nn.mgff_net import MGFFNet
from vreloc_pyg.nn.ranking import refine_windows
from vreloc_pyg.nn.relevance import Pooled, Relevance
from vreloc_pyg.systems.mgffnet.episodes import DensePairs
from vreloc_pyg.systems.mgffnet.ranker_settings import RankerSettings
from vreloc_pyg.systems.mgffnet.ranker_training import RankerTraining
from vreloc_pyg.systems.network import EVERYTHING, Ranked, RankingNetwork, without
from vreloc_pyg.training.recipe import Group


class MGFFRanker(RankingNetwork):
    """Ranks the candidate windows of a reference with MGFFNet, its ``model`` (paper section 4.8)."""

    least_score: ClassVar[float | None] = -1.0
    settings: RankerSettings

    def __init__(self, num_features: int, settings: RankerSettings) -> None:
        super().__init__(num_features, settings)
        self.model = MGFFNet(settings.network(num_features))

    @property
    def takes(self) -> frozenset[str]:
        # Where windows are paired with the nearer image of the query, its mirror image changes nothing.
        return EVERYTHING - {"mirror"} if self.settings.mirror_index else EVERYTHING

    def ranking_parameters(self) -> list[nn.Parameter]:
        """Those of trunk and score head."""
        return without(self.model, self.model.regression_head)

    def parameter_groups(self, training: RankerTraining) -> list[Group]:  # type: ignore[override]
        """The paper's two Adams (section 5.2.2): trunk and score head, and the regression head; or one."""
        if training.joint:
            return [Group(list(self.parameters()), training.learning_rate, training.weight_decay)]
        regression = list(self.model.regression_head.parameters())
        return [
            Group(self.ranking_parameters(), training.learning_rate, training.weight_decay, "ranking"),
            Group(regression, training.regression_learning_rate, 0.0, "regression"),
        ]

    def pool(self, pairs: DensePairs | Data) -> Pooled:
        """What the heads read of pairs."""
        if isinstance(pairs, Data):
            return self.model.pool(pairs)
        mask = pairs.mask if self.settings.mask_padding else None
        pooled = self.model.pool_clips(pairs.queries, pairs.proposals, mask, pairs.logits)
        return self.model.append(pooled, pairs.pair_features)

    def relevance(self, query: Tensor, reference: Tensor, windows: Tensor) -> Relevance:
        """Scores and offsets of windows."""
        return rank_windows(self.model, self.settings, query, reference, windows)

    def rank(self, query: Tensor, reference: Tensor, windows: Tensor) -> Ranked:
        """The windows with their scores, moved by their offsets where the settings say so."""
        relevance = self.relevance(query, reference, windows)
        refine = self.settings.refine
        answers = refine_windows(windows, relevance.offsets, len(reference)) if refine else None
        return Ranked(windows, relevance.score, answers)


def rank_windows(
    model: MGFFNet,
    pairing: Pairing,
    query: Tensor,
    reference: Tensor,
    windows: Tensor,
    chunk: int | None = None,
) -> Relevance:
    """Score windows of a reference against a query; of no windows there are no scores.

    Args:
        model: in eval mode.
        pairing: what the model was trained with.
        query, reference: features, ``[Tq, F]`` and ``[N, F]``.
        windows: half-open step intervals, ``[M, 2]`` int64.
        chunk: windows paired at once, which bounds the memory. (default: 4096 of relative nodes, which are
            narrow, else 512)

    Raises:
        FeatureError, SegmentError: see :meth:`.Pairing.pair`.
    """
    if not len(windows):
        return Relevance(reference.new_empty(0), reference.new_empty(0, 2))
    chunk = chunk or (4096 if pairing.nodes != "features" else 512)
    parts = [_rank_some(model, pairing, query, reference, some) for some in windows.split(chunk)]
    return Relevance(*map(torch.cat, zip(*parts, strict=True)))


def _rank_some(
    model: MGFFNet, pairing: Pairing, query: Tensor, reference: Tensor, windows: Tensor
) -> Relevance:
    pairs = pairing.pair(query, reference, windows)
    if pairing.nodes != "features":
        assert isinstance(pairs.proposals, Tensor)
        if model.matches:
            assert pairs.logits is not None
            pooled = pool_matched(model, pairs.queries, pairs.proposals, pairs.logits)
        else:
            pooled = pool_pairs(model, pairs.queries, pairs.proposals)
        return model.judge(model.append(pooled, pairs.pair_features))
    mask = None
    if model.settings.mask_padding and pairs.proposal_mask is not None:
        mask = torch.cat([pairs.query_mask.expand(len(windows), -1), pairs.proposal_mask], dim=1)
    # Where weights depend on node numbers, padding cannot be cut off the query.
    by_position = EDGE_WEIGHTS[model.settings.weight].positions is not None
    if isinstance(pairs.proposals, Tensor) and mask is not None and by_position:
        return model.score_clips(pairs.queries[pairs.version], pairs.proposals, mask, pairs.pair_features)
    score, offsets = query.new_empty(len(windows)), query.new_empty(len(windows), 2)
    for version, clip in enumerate(pairs.queries):
        chosen = (pairs.version == version).nonzero().flatten()
        if len(chosen) == 0:
            continue
        if model.settings.mask_padding:
            clip = clip[pairs.query_mask]
        clips = pairs.proposals
        score[chosen], offsets[chosen] = model.rank(
            clip,
            [clips[i] for i in chosen] if isinstance(clips, list) else clips[chosen],
            None if pairs.proposal_mask is None else pairs.proposal_mask[chosen],
            None if pairs.pair_features is None else pairs.pair_features[chosen],
        )
    return Relevance(score, offsets)
