"""The training-free rule: the window whose feature statistics are nearest to the query's."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from vreloc_pyg.datasets.splits import Query, Reference
from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.proposals.sliding_window import SlidingWindows, distinct
from vreloc_pyg.proposals.source import ProposalSource
from vreloc_pyg.segments import Segments
from vreloc_pyg.sequences.statistics import window_statistics
from vreloc_pyg.systems.answering import CHOOSING_PAIRS, Answering, AnswerSettings, choose_answers
from vreloc_pyg.systems.judging import PairDataset
from vreloc_pyg.systems.network import EVERYTHING, Ranked, Ranker, best_segments, ranked_windows
from vreloc_pyg.systems.protocol import Kin, check_top_n
from vreloc_pyg.systems.spec import Rule


@dataclass(frozen=True)
class WindowRule(Ranker):
    """Ranks windows by how near the mean and standard deviation of their features are to the query's.

    .. math::
        S(w) = -\\lVert (\\mu_w, \\sigma_w) - (\\mu_q, \\sigma_q) \\rVert_2
        - \\lambda \\left| \\log \\frac{\\mathrm{len}_w}{\\mathrm{len}_q} \\right|

    No training, and no order in time within a window. A learned model that does not beat it has learned
    nothing.

    Args:
        windows: the candidates.
        length_weight: lambda.
        normalize: divide every step's features by their norm first; for features of networks.
        search_steps: move the ends of the best windows by up to so many steps to where the score is best.
        nms_threshold: largest tIoU two returned segments may have; ``None`` keeps near-copies. The best
            segment is the same either way.
        answers: mirror image, search and length, as they were chosen on validation classes.
        name: the row in a table.
    """

    windows: ProposalSource = field(default_factory=SlidingWindows)
    length_weight: float = 0.0
    normalize: bool = False
    search_steps: int = 0
    nms_threshold: float | None = 0.5
    answers: AnswerSettings = field(default_factory=AnswerSettings)
    name: str = "window rule"
    kin: ClassVar[Kin] = "rule"
    local: ClassVar[bool] = True

    def localize(self, query: Query, reference: Reference, top_n: int = 1) -> Segments:
        """The nearest windows; the score is minus the distance."""
        check_top_n(top_n)
        asked = Answering(self, self.answers)
        ranking = ranked_windows(asked, query, reference, self.windows.propose(reference))
        return best_segments(asked, ranking, query, reference, top_n, self.nms_threshold)

    @property
    def about(self) -> str:
        """How it asks for answers."""
        return self.answers.about

    @property
    def takes(self) -> frozenset[str]:
        return EVERYTHING

    def rank(self, query: Tensor, reference: Tensor, windows: Tensor) -> Ranked:
        """Every window with its score."""
        return Ranked(windows, -self._cost(query, reference, windows))

    def polish(self, query: Tensor, reference: Tensor, windows: Tensor) -> Ranked | None:
        """Windows whose ends are up to ``search_steps`` from those of the given ones."""
        if self.search_steps == 0:
            return None
        moves = torch.arange(-self.search_steps, self.search_steps + 1)
        around = torch.cartesian_prod(moves, moves)  # [(2 s + 1)^2, 2]
        moved = (windows[:, None] + around).flatten(0, 1)
        inside = (moved[:, 0] >= 0) & (moved[:, 0] < moved[:, 1]) & (moved[:, 1] <= len(reference))
        return self.rank(query, reference, distinct(moved[inside], len(reference)))

    def _cost(self, clip: Tensor, features: Tensor, windows: Tensor) -> Tensor:
        """Distance and length penalty of windows, ``[M]``."""
        if self.normalize:
            features, clip = (torch.nn.functional.normalize(one, dim=1) for one in (features, clip))
        wanted = window_statistics(clip, torch.tensor([[0, len(clip)]]))  # [1, 2 F]
        distance = torch.cat([_distances(features, block, wanted) for block in windows.split(BLOCK)])
        lengths = (windows[:, 1] - windows[:, 0]).to(distance)
        return distance + self.length_weight * torch.log(lengths / len(clip)).abs()


#: So many windows are compared at once.
BLOCK = 8192


def _distances(features: Tensor, windows: Tensor, wanted: Tensor) -> Tensor:
    """Distance of each window's statistics to those ``wanted [1, 2 F]``, ``[M]``."""
    first, last = (int(windows[:, 0].min()), int(windows[:, 1].max())) if len(windows) else (0, 1)
    found = window_statistics(features[first:last], windows - first)  # [M, 2 F]
    return (found - wanted).norm(dim=1)


@lru_cache(maxsize=1)  # audit rows of a task ask for it too
def best_rule(data: TaskData) -> WindowRule:
    """The rule with the length, the mirror image and the search that suit the validation classes."""
    rule = WindowRule(data.proposals, name=BEST_WINDOW_RULE.row)
    pairs = PairDataset(data.splits["validation"], data.proposals, CHOOSING_PAIRS)
    return replace(rule, answers=choose_answers(rule, pairs, data.skeleton))


WINDOW_RULE = Rule(
    name="window-rule", row="window rule", in_readme=False, fit=lambda data: WindowRule(data.proposals)
)
#: The rule as it does best on validation classes.
BEST_WINDOW_RULE = Rule(name="window-rule-best", row="window rule, tuned", fit=best_rule)
