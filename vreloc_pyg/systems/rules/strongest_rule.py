"""The strongest of the rules, as the validation classes of a task name it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit
from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.segments import Segments, temporal_iou
from vreloc_pyg.systems.protocol import Kin, LocalizerProtocol, about_of
from vreloc_pyg.systems.rules.alignment_choice import ALIGNMENT
from vreloc_pyg.systems.rules.frame_level import FRAME_LEVEL, SDTW, SLOPE, STRICT
from vreloc_pyg.systems.rules.window_rule import BEST_WINDOW_RULE
from vreloc_pyg.systems.spec import Rule

#: The rules among which is chosen; of equals the first.
COMPARED = (BEST_WINDOW_RULE, FRAME_LEVEL, STRICT, SDTW, SLOPE, ALIGNMENT)
#: Validation pairs that are asked, at most.
NUM_PAIRS = 120


@dataclass(frozen=True)
class StrongestRule:
    """Answers as the rule does that did best on validation classes.

    Which rule is the strongest differs from data set to data set. Taking the one with the best test numbers
    would let test classes choose; here they have no say.

    Args:
        rule: the rule that was chosen.
    """

    rule: LocalizerProtocol
    name: ClassVar[str] = "strongest rule (by validation)"
    kin: ClassVar[Kin] = "rule"

    @property
    def about(self) -> str:
        """Which rule it is, and what that one chose itself."""
        return ": ".join(part for part in (self.rule.name, about_of(self.rule)) if part)

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """The rule's answers."""
        return self.rule.localize(query, reference, top_n)


def choose_strongest(rules: Sequence[LocalizerProtocol], split: RelocalizationSplit) -> StrongestRule:
    """The rule with the greatest mean tIoU plus R@1(0.7) on at most 120 pairs, spread evenly.

    Args:
        rules: fitted already; of equals the first is chosen.
        split: of *validation* classes.
    """
    count = min(NUM_PAIRS, len(split))
    pairs = [split[index * len(split) // count] for index in range(count)]
    merits = [sum(_merit(rule, query, reference) for query, reference in pairs) for rule in rules]
    return StrongestRule(rules[merits.index(max(merits))])


def _merit(rule: LocalizerProtocol, query: Query, reference: Reference) -> float:
    """tIoU of the first answer, plus 1 if it passes .7; without an answer 0."""
    answer = rule.localize(query.unlabelled(), reference.unannotated()).bounds[:1]
    if not len(answer):
        return 0.0
    overlap = float(temporal_iou(answer, reference.segments_of(query.label)).max())
    return overlap + (overlap > 0.7)


@lru_cache(maxsize=1)
def strongest_rule(data: TaskData) -> StrongestRule:
    """The strongest rule of a task, each fitted on it first."""
    return choose_strongest([rule.fit(data) for rule in COMPARED], data.splits["validation"])


#: `vreloc evaluate` and reports compare other rows with this one.
STRONGEST_RULE = Rule(name="strongest-rule", row=StrongestRule.name, fit=strongest_rule)
