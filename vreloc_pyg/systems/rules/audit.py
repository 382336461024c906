"""Audit rows: how far one comes by what a data set gives away, without looking for the action.

A composed reference may betray where its clips were joined: by a jump, by how fast or how unsteadily a body
moves, or by how it is built. Each detector here looks at one such channel, is even told how many joins there
are, and leaves the choice between the stretches it found to the window rule. A set on which one of them is
ahead of that rule measures its own seams (``vreloc audit`` refuses it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit, another_class, backwards
from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.segments import Segments, seconds_to_steps
from vreloc_pyg.sequences.pose import Skeleton
from vreloc_pyg.systems.answering import Answering
from vreloc_pyg.systems.protocol import Kin, LocalizerProtocol, answer_steps, check_top_n
from vreloc_pyg.systems.rules.chance import Chance
from vreloc_pyg.systems.rules.window_rule import BEST_WINDOW_RULE, WindowRule, best_rule
from vreloc_pyg.systems.spec import Control, Rule

#: Of a sequence of features ``[N, F]``, numbers whose change may betray a join, ``[N, C]``.
Channel = Callable[[Tensor], Tensor]
#: Steps on each side of a place that are compared, and least distance between two detected joins.
CONTEXT, APART = 6, 6


def joins_of(reference: Reference) -> Tensor:
    """Steps where a reference was put together; where nothing was, the ends of its instances."""
    if reference.joins:
        return torch.tensor(sorted(set(reference.joins)))
    steps = seconds_to_steps(reference.segments, reference.seconds_per_step, reference.num_steps)
    return torch.unique(steps)


def known_joins(data: TaskData) -> dict[str, Tensor]:
    """:func:`joins_of` every reference of a task, by its id."""
    return {one.video_id: joins_of(one) for split in data.splits.values() for one in split.references}


def stretches(cuts: Tensor, num_steps: int, longest: int) -> Tensor:
    """Windows from any cut to a later one, up to ``longest`` steps, ``[M, 2]``; else the whole."""
    edges = torch.unique(torch.cat([cuts, torch.tensor([0, num_steps])]))
    pairs = torch.combinations(edges, 2)
    pairs = pairs[pairs[:, 1] - pairs[:, 0] <= longest]
    return pairs if len(pairs) else torch.tensor([[0, num_steps]])


def chosen_by(rule: WindowRule, windows: Tensor, query: Query, reference: Reference, top_n: int) -> Segments:
    """The windows that the rule finds best, as they are."""
    asked = Answering(rule, replace(rule.answers, search=0))
    ranked = asked.rank(query.features, reference.features, windows)
    return answer_steps(ranked.windows, ranked.scores, reference, top_n)


@dataclass(frozen=True)
class KnownJoins:
    """Told every join; the window rule chooses between the stretches."""

    joins: Mapping[str, Tensor]
    rule: WindowRule
    longest: int
    name: str = "joins known + rule"
    kin: ClassVar[Kin] = "audit"

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """Stretches between joins; the score is the rule's."""
        windows = stretches(self.joins[reference.video_id], reference.num_steps, self.longest)
        return chosen_by(self.rule, windows, query, reference, top_n)


@dataclass(frozen=True)
class FoundJoins:
    """Looks for joins in one channel; the window rule chooses between the stretches.

    A place is a join if what the channel shows before and after it differs most (``by="change"``), or if the
    channel is greatest (``"most"``) or least (``"least"``) there.
    """

    channel: Channel
    joins: Mapping[str, Tensor]
    rule: WindowRule
    longest: int
    name: str
    by: str = "change"
    kin: ClassVar[Kin] = "audit"

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """Stretches between detected joins; the score is the rule's."""
        count = len(self.joins[reference.video_id])
        cuts = strongest(join_strength(self.channel(reference.features), self.by), count)
        windows = stretches(cuts, reference.num_steps, self.longest)
        return chosen_by(self.rule, windows, query, reference, top_n)


def join_strength(channel: Tensor, by: str) -> Tensor:
    """How much each of the places between N steps looks like a join, ``[N + 1]``, of a channel ``[N, C]``."""
    values = channel.double()
    if by != "change":
        strength = values.mean(1) if by == "most" else -values.mean(1)
        return torch.cat([strength[:1], torch.maximum(strength[1:], strength[:-1]), strength[-1:]])
    sums = torch.cat([values.new_zeros(1, values.size(1)), values.cumsum(0)])
    places = torch.arange(len(values) + 1)
    before, after = (places - CONTEXT).clamp(min=0), (places + CONTEXT).clamp(max=len(values))
    inside = (places > 0) & (places < len(values))
    means = [
        (sums[end] - sums[start]) / (end - start).clamp(min=1)[:, None]
        for start, end in ((before, places), (places, after))
    ]
    return torch.where(inside, (means[0] - means[1]).norm(dim=1), torch.zeros(len(places)).double())


def strongest(strength: Tensor, count: int) -> Tensor:
    """The ``count`` strongest places that are :data:`APART`, ascending, ``[C]``."""
    found: list[int] = []
    for place in strength.argsort(descending=True, stable=True).tolist():
        if len(found) == count:
            break
        if all(abs(place - other) >= APART for other in found):
            found.append(place)
    return torch.tensor(sorted(found))


def positions(features: Tensor, skeleton: Skeleton | None) -> Tensor:
    """Joints of pose features, ``[N, J, D]``; of other features each column is a joint of one coordinate."""
    if skeleton is None:
        return features.unsqueeze(-1)
    low, high = skeleton.feature_groups()[0]
    return features[:, low:high].reshape(len(features), skeleton.num_joints, skeleton.num_dims)


def _differences(values: Tensor, order: int) -> Tensor:
    """Differences in time ``[N, ...]``; the first steps have none of their own and take the next."""
    if len(values) <= order:
        return torch.zeros_like(values)
    found = torch.diff(values, n=order, dim=0)
    return torch.cat([found[:1].expand(len(values) - len(found), *values.shape[1:]), found])


def speed_channel(skeleton: Skeleton | None) -> Channel:
    """Log of the joints' mean speed."""
    return lambda x: _energy(_differences(positions(x, skeleton), 1))


def jerk_channel(skeleton: Skeleton | None) -> Channel:
    """Log of the energy of the third difference: how much the joints tremble."""
    return lambda x: _energy(_differences(positions(x, skeleton), 3))


def look_channel(skeleton: Skeleton | None) -> Channel:
    """Log distances between joints: how a body is built."""

    def distances(features: Tensor) -> Tensor:
        joints = positions(features, skeleton)
        if skeleton is None:
            return features
        row, column = torch.triu_indices(skeleton.num_joints, skeleton.num_joints, 1)
        return ((joints[:, row] - joints[:, column]).norm(dim=-1) + 0.1).log()

    return distances


def _energy(moved: Tensor) -> Tensor:
    return (moved.square().flatten(1).mean(1, keepdim=True) + 1e-8).log()


@dataclass(frozen=True)
class NearestLength:
    """Told every instance; the one whose length is nearest to the query's is the answer."""

    instances: Mapping[str, Tensor]
    name: str = "instances known, nearest length"
    kin: ClassVar[Kin] = "audit"

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """Instances; the score is minus the log of the ratio of durations."""
        bounds = self.instances[reference.video_id]
        ratio = (bounds[:, 1] - bounds[:, 0]) / query.duration_s
        return Segments(bounds, -ratio.log().abs()).top(check_top_n(top_n))


class AtStart:
    """A segment as long as the query at the start of the reference."""

    name = "query's length, at the start"
    kin: Kin = "audit"

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """One segment of score 0."""
        steps = max(1, min(round(query.duration_s / reference.seconds_per_step), reference.num_steps))
        return answer_steps(torch.tensor([[0, steps]]), torch.zeros(1), reference, top_n)


def played_backwards(pairs: RelocalizationSplit, data: TaskData) -> list[Query]:
    """The query of every pair, played backwards; of poses the velocities turn too."""
    velocities = slice(0, 0) if data.skeleton is None else slice(*data.skeleton.feature_groups()[1])
    return [backwards(pairs.queries[query], velocities) for query, _ in pairs.pairs]


def _audit(name: str, row: str, fit: Callable[[TaskData], LocalizerProtocol]) -> Rule:
    return Rule(name=name, row=row, kin="audit", in_readme=False, beside=False, fit=fit)


def _detector(name: str, row: str, channel: Callable[[Skeleton | None], Channel], by: str = "change") -> Rule:
    def fit(data: TaskData) -> FoundJoins:
        found = known_joins(data)
        return FoundJoins(channel(data.skeleton), found, best_rule(data), data.longest, row, by)

    return _audit(name, row, fit)


CHANCE_OF_LENGTH = _audit(
    "audit-chance-length", "chance (query length)", lambda data: Chance("query_length", kin="audit")
)
AT_START = _audit("audit-start", AtStart.name, lambda data: AtStart())
NEAREST_LENGTH = _audit(
    "audit-nearest-length",
    NearestLength.name,
    lambda data: NearestLength(
        {one.video_id: one.segments for split in data.splits.values() for one in split.references}
    ),
)
KNOWN_JOINS = _audit(
    "audit-joins-known",
    KnownJoins.name,
    lambda data: KnownJoins(known_joins(data), best_rule(data), data.longest),
)
BY_SPEED = _detector("audit-joins-speed", "joins by change of speed + rule", speed_channel)
BY_HASTE = _detector("audit-joins-haste", "joins where fastest + rule", speed_channel, "most")
BY_REST = _detector("audit-joins-rest", "joins where stillest + rule", speed_channel, "least")
BY_JERK = _detector("audit-joins-jerk", "joins by change of jerk + rule", jerk_channel)
BY_LOOK = _detector("audit-joins-look", "joins by change of look + rule", look_channel)
DETECTORS = (BY_SPEED, BY_HASTE, BY_REST, BY_JERK, BY_LOOK)
ANOTHER_CLASS = Control(
    name="audit-another-class",
    row=f"{BEST_WINDOW_RULE.row}, query of another class",
    kin="audit",
    in_readme=False,
    of=BEST_WINDOW_RULE.name,
    ask=lambda pairs, data: another_class(pairs),
)
BACKWARDS = Control(
    name="audit-backwards",
    row="alignment, query played backwards",
    kin="audit",
    in_readme=False,
    of="alignment",
    ask=played_backwards,
)
