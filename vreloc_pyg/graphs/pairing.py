"""How a query and windows of a reference become pair graphs: the same code for training and answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from vreloc_pyg.errors import FeatureError, SegmentError, SettingsError
from vreloc_pyg.graphs.matching import Head, match_channels, match_clips
from vreloc_pyg.graphs.pair_features import pair_features
from vreloc_pyg.graphs.pair_graph import PairData
from vreloc_pyg.graphs.relative import RELATIVE_PER_GROUP, relative_nodes
from vreloc_pyg.segments import check_windows
from vreloc_pyg.sequences.pose import check_groups, check_mirror, mirror_image
from vreloc_pyg.sequences.statistics import window_statistics
from vreloc_pyg.sequences.values_and_changes import values_and_changes
from vreloc_pyg.sequences.windows import cut_windows
from vreloc_pyg.settings import CheckedSettings, Context, Steps


class Pairs(NamedTuple):
    """One query beside M windows of one reference.

    Args:
        queries: the versions of the query that occur, ``[V, Tq, F]``: one, or one and its mirror image, or
            with nodes that compare one for each window.
        version: which of them each window is paired with, ``[M]`` int64.
        proposals: the windows' steps, ``[M, Tp, F]``, or clips of different lengths.
        query_mask: steps of the query that are no padding, ``[Tq]`` bool.
        proposal_mask: steps of the windows that are no padding, ``[M, Tp]`` bool; ``None`` if all are.
        pair_features: see :class:`Pairing`, ``[M, 6]``, or 7; ``None`` if there are none.
        logits: of the edges between both clips, ``[M, H, Tq, Tp]``; ``None`` if they have none.
    """

    queries: Tensor
    version: Tensor
    proposals: Tensor | list[Tensor]
    query_mask: Tensor
    proposal_mask: Tensor | None
    pair_features: Tensor | None
    logits: Tensor | None = None

    def graphs(self) -> list[PairData]:
        """Every pair as a graph of its own, as of :func:`~vreloc_pyg.graphs.pair_data`."""
        graphs = []
        for index, version in enumerate(self.version.tolist()):
            query, proposal = self.queries[version], self.proposals[index]
            graph = PairData(
                x=torch.cat([query, proposal]),
                num_query=torch.tensor([len(query)]),
                num_proposal=torch.tensor([len(proposal)]),
            )
            if self.proposal_mask is not None:
                graph.mask = torch.cat([self.query_mask, self.proposal_mask[index]])
            if self.pair_features is not None:
                graph.pair_features = self.pair_features[index : index + 1]
            if self.logits is not None:
                graph.match_logits = self.logits[index].permute(1, 2, 0).flatten(0, 1)
            graphs.append(graph)
        return graphs


@dataclass(frozen=True)
class Pairing(CheckedSettings):
    """Settings of the step from clips to pair graphs. The defaults are the paper's.

    Args:
        num_steps: T, the number of nodes of each clip; ``None`` keeps every step (ragged graphs).
        fit: how clips are brought to T, see :func:`vreloc_pyg.sequences.windows.cut_windows`.
        nodes: ``"features"`` (paper); ``"relative"``, see :func:`.relative_nodes`; or ``"match"``, see
            :func:`.match_clips`, where windows have as many nodes more as their context is long. The latter
            two need ``fit="resample"`` and ``feature_groups``.
        context: a window's nodes reach over both its ends by this share of its length, so that the graph
            sees whether the action begins and ends there.
        feature_groups: ranges of feature columns that belong together, such as positions and velocities, for
            relative nodes.
        units: compare features in their ``"own"`` units, or as values and changes in those of poses
            (``"reference"``: :func:`.values_and_changes`), which makes F columns 2 F: of these are then the
            ``feature_groups``, and there is no mirror image.
        pair_features: give the heads a few numbers beside the graph, see :func:`.pair_features`; of nodes
            that match :data:`~vreloc_pyg.graphs.pair_features.MATCH_FEATURES`.
        heads: of the edges between clips whose nodes match, of :data:`.HEADS`.
        permuted_edges: see :func:`.match_clips`; a control.
        mirror_index, mirror_sign: the mirror image of features x is ``x[:, mirror_index] * mirror_sign``
            (:meth:`vreloc_pyg.sequences.pose.Skeleton.mirror_features`). Every window is paired with the
            nearer, by mean and standard deviation of the features, of the query and its mirror image.
            Empty: no mirror images.
    """

    num_steps: Steps | None = 40
    fit: Literal["resample", "pad"] = "pad"
    nodes: Literal["features", "relative", "match"] = "features"
    context: Context = 0.0
    feature_groups: tuple[tuple[int, int], ...] = ()
    units: Literal["own", "reference"] = "own"
    pair_features: bool = False
    heads: tuple[Head, ...] = ()
    permuted_edges: bool = False
    mirror_index: tuple[int, ...] = ()
    mirror_sign: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_groups(self.feature_groups)
        compares = self.num_steps is not None and self.fit == "resample" and self.feature_groups
        if self.nodes != "features" and not compares:
            raise SettingsError(f"nodes={self.nodes!r} needs num_steps, fit='resample' and feature_groups")
        if self.nodes != "match" and (self.heads or self.permuted_edges):
            raise SettingsError("heads and permuted_edges need nodes='match'")
        if self.units == "reference" and (self.nodes == "features" or self.mirror_index):
            raise SettingsError("units='reference' needs nodes that compare, and no mirror_index")
        check_mirror(self.mirror_index, self.mirror_sign)

    def node_channels(self, num_features: int) -> int:
        """Width of the nodes of clips with ``num_features`` features."""
        groups = len(self.feature_groups)
        if self.nodes == "match":
            return match_channels(groups, len(self.heads))
        return RELATIVE_PER_GROUP * groups if self.nodes == "relative" else num_features

    def mirrored(self, features: Tensor) -> Tensor:
        """The mirror image of features ``[..., F]``."""
        return mirror_image(features, self.mirror_index, self.mirror_sign)

    def pair(self, query: Tensor, reference: Tensor, windows: Tensor, speed: float = 1.0) -> Pairs:
        """Pair a query with windows of a reference; arguments as of :func:`.pair_features`.

        Raises:
            FeatureError: if features are not matrices of one width, or empty, or not finite.
            SegmentError: if there is no window, or one is empty or outside the reference.
        """
        _check_pairs(query, reference, windows)
        if self.units == "reference":
            query, reference = values_and_changes(query, reference)
        images = torch.stack([query, self.mirrored(query)]) if self.mirror_index else query.unsqueeze(0)
        lengths = windows[:, 1] - windows[:, 0]
        reach = (self.context * lengths).round().long()
        seen = torch.stack([windows[:, 0] - reach, windows[:, 1] + reach], dim=1).clamp(0, len(reference))
        whole = torch.tensor([[0, len(query)]], device=query.device)
        image = torch.zeros(len(windows), dtype=torch.long, device=query.device)
        numbers = theirs = None
        # Some windows of a long video need no more of it; only edges that match look at all of it.
        first, last = (0, None) if self.nodes == "match" else (int(seen[:, 0].min()), int(seen[:, 1].max()))
        part = reference[first:last]
        if len(images) > 1 or self.pair_features or self.nodes != "features":
            own = torch.cat([window_statistics(features, whole) for features in images])  # [V, 2 F]
            theirs = window_statistics(part, windows - first)  # [M, 2 F]
            apart = torch.cdist(theirs, own, compute_mode="donot_use_mm_for_euclid_dist")
            distance, image = apart.min(dim=1)
            if self.pair_features:
                numbers = pair_features(query, reference, windows, speed, distance)
        if self.num_steps is None:
            clips = [reference[start:end] for start, end in seen.tolist()]
            kept = torch.ones(len(query), dtype=torch.bool, device=query.device)
            return Pairs(images, image, clips, kept, None, numbers)
        if self.nodes != "features" and theirs is not None:
            means = theirs.chunk(2, dim=1)[0]
            return self._compared((images, image, part, windows - first, seen - first, means), numbers)
        proposals, mask = cut_windows(reference, seen, self.num_steps, self.fit)
        cut = [cut_windows(features, whole, self.num_steps, self.fit) for features in images]
        queries, query_mask = torch.cat([clip for clip, _ in cut]), cut[0][1][0]
        return Pairs(queries, image, proposals, query_mask, mask if self.fit == "pad" else None, numbers)

    def _compared(
        self, clips: tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], numbers: Tensor | None
    ) -> Pairs:
        """Pairs of windows that each have a query of their own; clips as :func:`.match_clips` takes them."""
        assert self.num_steps is not None
        reference, windows = clips[2:4]
        logits = None
        if self.nodes == "relative":
            queries, proposals = relative_nodes(*clips, self.num_steps, self.feature_groups)
        else:
            num_steps = self.num_steps, round(self.num_steps * (1 + 2 * self.context))
            found = match_clips(*clips, num_steps, self.feature_groups, self.heads, self.permuted_edges)
            queries, proposals, logits = found.queries, found.proposals, found.logits
            if numbers is not None:
                numbers = torch.cat([numbers, found.cost.unsqueeze(1)], dim=1)
        kept = torch.ones(self.num_steps, dtype=torch.bool, device=reference.device)
        version = torch.arange(len(windows), device=reference.device)
        return Pairs(queries, version, proposals, kept, None, numbers, logits)


def _check_pairs(query: Tensor, reference: Tensor, windows: Tensor) -> None:
    """What :meth:`Pairing.pair` raises."""
    for what, features in (("query", query), ("reference", reference)):
        if features.dim() != 2 or not len(features) or features.size(1) != query.size(-1):
            raise FeatureError(
                f"Expected features of the {what} as [T >= 1, F], as wide as those of the query "
                f"(got shape {tuple(features.shape)})"
            )
        if not torch.isfinite(features).all():
            raise FeatureError(f"Features of the {what} hold NaN or infinite values")
    if not len(windows):
        raise SegmentError("Expected at least one window to pair with the query (got none)")
    check_windows(windows, len(reference))
