"""What answers for a video: a trained localizer, or a rule that needs no training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor

from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.localization.calibration import Calibration
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.localization.training_free import training_free
from vreloc_pyg.segments import Ranking, Segments, covering_maximum, seconds_to_steps
from vreloc_pyg.systems.protocol import LocalizerProtocol
from vreloc_pyg.systems.rules.alignment import Alignment
from vreloc_pyg.systems.rules.frame_level import FrameLevel
from vreloc_pyg.systems.rules.mean_cosine import MeanCosine
from vreloc_pyg.systems.rules.similarity_curve import SimilarityCurve
from vreloc_pyg.systems.spec import Traits

#: Candidates that an answer keeps for pictures.
KEPT = 100


@dataclass(frozen=True)
class Found:
    """What one system says of one reference.

    Args:
        segments: different moments in seconds, best first, with scores.
        curve: how well each step of the reference answers the query, ``[num_steps]``.
        candidates: segments that were considered, best first, for pictures; at most :data:`KEPT`.
    """

    segments: Segments
    curve: Tensor
    candidates: Segments


class Finder(Protocol):
    """Finds the moments of a reference that show what clips show."""

    @property
    def name(self) -> str:
        """What answered, for people."""

    @property
    def calibration(self) -> Calibration | None:
        """How sure a score is; ``None``: not known."""

    def find(self, queries: Sequence[Query], reference: Reference, top_n: int) -> Found:
        """The ``top_n`` best moments; several queries show one action."""


@dataclass(frozen=True)
class RankingFinder:
    """Answers with a localizer, which ranks windows; of several queries the best answer counts.

    Args:
        localizer: a trained model, or a rule that ranks windows.
    """

    localizer: Localizer

    @property
    def name(self) -> str:
        return self.localizer.name

    @property
    def calibration(self) -> Calibration | None:
        return self.localizer.calibration

    def find(self, queries: Sequence[Query], reference: Reference, top_n: int) -> Found:
        """The best windows of each query, refined; then the moments of all."""
        best, curves, candidates = [], [], []
        for query in queries:
            ranking = self.localizer.rank(query, reference)
            best.append(self._refined(ranking, query, reference, top_n))
            curves.append(ranking.curve(reference.num_steps, self.localizer.ranker.least_score))
            candidates.append(ranking.segments.top(KEPT, 0.8))
        return Found(
            together(best).moments(top_n),
            torch.stack(curves).amax(0),
            together(candidates)[slice(0, KEPT)],
        )

    def _refined(self, ranking: Ranking, query: Query, reference: Reference, top_n: int) -> Segments:
        """The best moments, each refined by itself unless that leads into a better one."""
        found: list[Segments] = []
        waiting = ranking.segments.moments(4 * top_n)
        for rank in range(len(waiting)):
            plain = waiting[slice(rank, rank + 1)]
            refined = self.localizer.best(replace(ranking, segments=plain), query, reference)
            for one in (refined, plain):
                if len(together([*found, one]).moments(top_n)) == len(found) + 1:
                    found.append(one)
                    break
            if len(found) == top_n:
                break
        return together(found)


@dataclass(frozen=True)
class RuleFinder:
    """Answers with any rule; of several queries the best answer counts.

    Args:
        rule: finds segments of features.
        calibration: of the rule on the features at hand.
    """

    rule: LocalizerProtocol
    calibration: Calibration | None = None

    @property
    def name(self) -> str:
        return self.rule.name

    def find(self, queries: Sequence[Query], reference: Reference, top_n: int) -> Found:
        """The moments of the rule's answers; the curve is that of its best segments."""
        found = together([self.rule.localize(query, reference, KEPT) for query in queries])
        assert found.scores is not None
        steps = seconds_to_steps(found.bounds, reference.seconds_per_step, reference.num_steps)
        curve = covering_maximum(steps, found.scores, reference.num_steps)
        return Found(
            found.moments(top_n),
            curve.clamp(min=float(found.scores.min())),
            found[slice(0, KEPT)],
        )


@dataclass(frozen=True)
class CurveFinder(RuleFinder):
    """Answers with the stretches of a similarity curve; several queries are one mean curve."""

    rule: SimilarityCurve = field(default_factory=SimilarityCurve)

    def find(self, queries: Sequence[Query], reference: Reference, top_n: int) -> Found:
        """The stretches, which do not overlap; all of them are candidates."""
        curve = self.rule.curve(queries, reference)
        candidates = self.rule.stretches(queries, reference, curve, max(top_n, KEPT))
        return Found(candidates[slice(0, top_n)], curve, candidates)


def together(segments: Sequence[Segments]) -> Segments:
    """Segments of several rankings as one, best first."""
    scores = [one.scores for one in segments if one.scores is not None]
    return Segments(torch.cat([one.bounds for one in segments]), torch.cat(scores)).ranked()


def unlike(found: Found, other: Found, seconds_per_step: float) -> Segments:
    """The moments of an answer that do not answer another question better.

    Args:
        found: the answer.
        other: what the same system says to clips that show something else.
    """
    steps = seconds_to_steps(found.segments.bounds, seconds_per_step, len(found.curve)).tolist()
    kept = [bool(found.curve[a:b].mean() >= other.curve[a:b].mean()) for a, b in steps]
    return found.segments[torch.tensor(kept, dtype=torch.bool)]


#: By system and extractor; made by ``benchmarks/own_videos.py`` from pairs of real videos by other people.
CALIBRATIONS: Mapping[tuple[str, str], Calibration] = MappingProxyType(
    {
        ("similarity-curve", "i3d"): Calibration(26.8, -18.9, num_present=16, num_absent=40),
        ("mean-cosine", "i3d"): Calibration(28.6, -20.4, num_present=16, num_absent=40),
        ("frame-level-slope", "i3d"): Calibration(13.0, 11.9, num_present=16, num_absent=40),
        ("alignment", "i3d"): Calibration(25.1, 26.7, num_present=16, num_absent=40),
        ("window-rule", "i3d"): Calibration(24.8, 18.4, num_present=16, num_absent=40),
        ("mgffnet", "i3d"): Calibration(51.7, 13.6, num_present=16, num_absent=40),
        ("similarity-curve", "look"): Calibration(49.1, -36.2, num_present=14, num_absent=40),
        ("mean-cosine", "look"): Calibration(49.7, -37.2, num_present=16, num_absent=40),
        ("frame-level-slope", "look"): Calibration(8.8, 7.5, num_present=16, num_absent=40),
        ("alignment", "look"): Calibration(15.1, 15.6, num_present=16, num_absent=40),
        ("window-rule", "look"): Calibration(29.8, 21.2, num_present=16, num_absent=40),
        ("mgffnet", "look"): Calibration(18.2, 4.8, num_present=14, num_absent=40),
    }
)


@cache
def shipped_model(
    name: str, calibration: Calibration | None = None, num_features: int | None = None
) -> Localizer:
    """A model that comes with the package (:mod:`.shipped`).

    Args:
        name: of the model.
        calibration: how sure its scores are on the features at hand.
        num_features: width of the features, if they are not those that it was trained on: it is put on them,
            and asked about the windows of the window rule.
    """
    if num_features is None:
        found = Localizer.from_pretrained(name)
    else:
        windows = training_free().proposals
        found = Localizer.from_pretrained(name, windows, adapt_to=Traits(num_features))
    found.calibration = calibration
    return found


@dataclass(frozen=True)
class ShippedFinder(RankingFinder):
    """Answers with a model that comes with the package, on features of any kind.

    Those as wide as what it was trained on are taken to be poses, as that is.
    """

    def find(self, queries: Sequence[Query], reference: Reference, top_n: int) -> Found:
        own, width = self.localizer, reference.features.size(1)
        if width == own.num_features:
            return super().find(queries, reference, top_n)
        other = shipped_model(own.system.name, own.calibration, width)
        return RankingFinder(other).find(queries, reference, top_n)


#: Systems that answer without a model of one's own, by the names of the catalog.
AT_HAND: Mapping[str, Callable[[Calibration | None], Finder]] = MappingProxyType(
    {
        "similarity-curve": lambda calibration: CurveFinder(calibration=calibration),
        "alignment": lambda calibration: RuleFinder(Alignment(), calibration),
        "window-rule": lambda calibration: RankingFinder(training_free(calibration)),
        "mean-cosine": lambda calibration: RuleFinder(MeanCosine(), calibration),
        "frame-level-slope": lambda calibration: RuleFinder(FrameLevel("slope"), calibration),
        "mgffnet": lambda calibration: ShippedFinder(shipped_model("mgffnet", calibration)),
    }
)


def usual_system(extractor: str | None) -> str:
    """What answers by default: of the features of an extractor what did best on real videos.

    Args:
        extractor: its name; ``None`` of features that nobody knows. Those may be poses, of which the curve
            knows nothing and the alignment is the best rule.
    """
    usual = {None: "alignment", "pose": "mgffnet", "pose-path": "alignment"}
    return usual.get(extractor, "similarity-curve")


def check_at_hand(name: str) -> str:
    """The name of a system of :data:`AT_HAND`; :class:`SettingsError` for another."""
    if name not in AT_HAND:
        raise SettingsError(
            f"The system {name!r} needs training: give --checkpoint. Those at hand are {', '.join(AT_HAND)}"
        )
    return name


def at_hand(system: str | None = None, extractor: str | None = None) -> Finder:
    """A system that answers without a model of one's own.

    Args:
        system: of :data:`AT_HAND`; by default the :func:`usual_system`.
        extractor: whose features it will see; of those it was not calibrated on it is never sure.

    Raises:
        SettingsError: for an unknown name.
    """
    name = check_at_hand(usual_system(extractor) if system is None else system)
    return AT_HAND[name](CALIBRATIONS.get((name, extractor or "")))
