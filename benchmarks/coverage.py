"""How often 95 % intervals hold the truth, and how often tests see a lead where there is none.

    python benchmarks/coverage.py --output docs/results/coverage

Benchmarks are simulated of which the truth is known, and judged as the package judges real ones. Beside that
stand what was used before it: the bootstrap of folds and queries, and McNemar's test. A minute on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binom

from vreloc_pyg.evaluation import Interval, class_means, sign_flip, t_interval, to_markdown
from vreloc_pyg.files import write_text

CHUNK, RESAMPLES = 250, 500


@dataclass(frozen=True)
class Situation:
    """A benchmark, and how two systems of equal worth fare in it.

    The chance of a hit is the logistic function of ``level`` plus normal effects, whose standard deviations
    are given: of folds, classes and queries, which both systems share, and of each of the three for one
    system alone.

    Args:
        folds, classes, queries, references: of a benchmark, a fold, a class and a query.
        level: 0 is a hit in half of the cases, but for the effects.
        same: share of pairs on which systems of equal chances hit or miss together.
    """

    name: str
    folds: int
    classes: int
    queries: int
    references: int = 1
    level: float = 0.8
    fold: float = 0.0
    label: float = 0.0
    query: float = 1.0
    own_fold: float = 0.0
    own_label: float = 0.0
    own_query: float = 1.0
    same: float = 0.0

    def pairs(self) -> pd.DataFrame:
        """Fold, class and query of every pair."""
        grid = product(*map(range, (self.folds, self.classes, self.queries, self.references)))
        rows = [(f, f"{f}-{c}", c * self.queries + q) for f, c, q, _ in grid]
        return pd.DataFrame(rows, columns=["fold", "label", "query"])

    def truth(self) -> float:
        """Expected R@1 of either system over all folds, classes and queries there could be."""
        effects = self.fold, self.label, self.query, self.own_fold, self.own_label, self.own_query
        nodes, weights = np.polynomial.hermite_e.hermegauss(100)
        chances = 1 / (1 + np.exp(-self.level - np.sqrt(np.square(effects).sum()) * nodes))
        return float(weights @ chances / weights.sum())

    def hits(self, rng: np.random.Generator, times: int) -> np.ndarray:
        """Hits of both systems in so many benchmarks, ``[2, N, times]`` bool."""
        shape = (2, self.folds, self.classes, self.queries, self.references, times)

        def effect(deviation: float, depth: int, systems: int) -> np.ndarray:
            sizes = (systems, *shape[1 : 1 + depth], *[1] * (4 - depth), times)
            return deviation * rng.standard_normal(sizes, dtype=np.float32)

        logit = self.level + sum(
            effect(deviation, depth, systems)
            for systems, deviations in (
                (1, (self.fold, self.label, self.query)),
                (2, (self.own_fold, self.own_label, self.own_query)),
            )
            for depth, deviation in enumerate(deviations, start=1)
        )
        drawn = rng.random(shape, dtype=np.float32)
        alike = rng.random(shape[1:], dtype=np.float32) < self.same
        drawn[1] = np.where(alike, drawn[0], drawn[1])
        return (drawn < 1 / (1 + np.exp(-logit))).reshape(2, -1, times)


#: Effects are such that R@1 at .5 spreads over folds, and its paired differences do, about as was seen on
#: the first versions of the sets: by 12 and 9 points on Penn Action (MGFFNet, and less the
#: matching-transformer); by 23 and 13 on UTKinect (the window rule, and MGFFNet less it); by 12 and 1.3 for
#: small differences (MGFFNet, and less its CNN). Classes spread by 17 to 20 points there, of rules. The last
#: two are the case of one fold, and the worst for the sign-flip test: classes of a fold differ by their
#: queries alone.
SITUATIONS = (
    Situation("no class effect", 5, 3, 70),
    Situation("like Penn Action", 5, 3, 70, fold=0.45, label=1.0, own_fold=0.3, own_label=0.45),
    Situation(
        "like UTKinect",
        5,
        2,
        20,
        5,
        level=-0.2,
        fold=1.4,
        label=0.9,
        own_fold=0.45,
        own_label=0.5,
        own_query=0.7,
    ),
    Situation(
        "small differences",
        5,
        3,
        70,
        fold=0.45,
        label=1.0,
        own_fold=0.05,
        own_label=0.05,
        own_query=0.1,
        same=0.97,
    ),
    Situation("one fold of 20 classes", 1, 20, 15, label=1.0, own_label=0.45),
    Situation("folds of like classes", 5, 2, 100, fold=1.0, own_fold=0.6),
)


def bootstrap(rng: np.random.Generator, ahead: np.ndarray, behind: np.ndarray, size: int) -> Interval:
    """Percentile bootstrap of folds, then of the pairs within, of the mean of values of 1, 0 and -1.

    Pairs that are drawn with replacement from a fold are so many trials of its shares, ``[F, times]``, of 1
    (``ahead``) and -1 (``behind``).
    """
    folds, times = ahead.shape
    drawn = size * rng.multinomial(folds, np.full(folds, 1 / folds), size=(RESAMPLES, times))
    wins = rng.binomial(drawn, ahead.T)
    losses = rng.binomial(drawn - wins, np.clip(behind / np.maximum(1 - ahead, 1e-12), 0, 1).T)
    means = (wins - losses).sum(-1) / (folds * size)  # [RESAMPLES, times]
    return Interval((ahead - behind).mean(0), *np.quantile(means, [0.025, 0.975], axis=0))


def holds(interval: Interval, truth: float) -> np.ndarray:
    return (interval.low <= truth + 1e-12) & (interval.high >= truth - 1e-12)


def judged(situation: Situation, rng: np.random.Generator, times: int) -> dict[str, np.ndarray]:
    """What each way says of so many benchmarks: whether it holds the truth, or sees a lead; ``[times]``."""
    pairs, truth = situation.pairs(), situation.truth()
    hits = situation.hits(rng, times)
    values, lead = hits[0].astype(np.float64), hits[0].astype(np.float64) - hits[1]
    means, leads = class_means(values, pairs), class_means(lead, pairs)
    # The same, as though no class depended on another.
    alone, leads_alone = (replace(one, groups=np.arange(len(one.groups))) for one in (means, leads))

    def share(marked: np.ndarray) -> np.ndarray:
        return marked.reshape(situation.folds, -1, times).mean(1)

    size = len(pairs) // situation.folds
    wins, losses = hits[0] & ~hits[1], ~hits[0] & hits[1]
    drawn = bootstrap(rng, share(hits[0]), np.zeros((situation.folds, times)), size)
    lead_drawn = bootstrap(rng, share(wins), share(losses), size)
    fewer, all_of = np.minimum(wins.sum(0), losses.sum(0)), wins.sum(0) + losses.sum(0)
    return {
        "R@1: t, groups": holds(t_interval(means), truth),
        "R@1: t, classes": holds(t_interval(alone), truth),
        "R@1: bootstrap": holds(drawn, truth),
        "lead: t, groups": holds(t_interval(leads), 0),
        "lead: t, classes": holds(t_interval(leads_alone), 0),
        "lead: bootstrap": holds(lead_drawn, 0),
        "false: sign flip": sign_flip(leads) <= 0.05,
        "false: t, groups": ~holds(t_interval(leads), 0),
        "false: flips of the mean": sign_flip(leads_alone) <= 0.05,
        "false: bootstrap": ~holds(lead_drawn, 0),
        "false: McNemar": 2 * binom.cdf(fewer, all_of, 0.5) <= 0.05,
        "fold means": spread(share(hits[0])),
        "leads of folds": spread(share(wins) - share(losses)),
    }


def spread(folds: np.ndarray) -> np.ndarray:
    """Standard deviation over folds ``[F, times]``; NaN of one."""
    return folds.std(0, ddof=1) if len(folds) > 1 else np.full(folds.shape[1], np.nan)


def coverage(times: int, seed: int = 0) -> pd.DataFrame:
    """Shares in percent over ``times`` benchmarks of every situation, one row each."""
    return pd.DataFrame(
        [
            {
                "situation": situation.name,
                "R@1": 100 * situation.truth(),
                **_shares(situation, times, seed + n),
            }
            for n, situation in enumerate(SITUATIONS)
        ]
    )


def _shares(situation: Situation, times: int, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    parts = [judged(situation, rng, count) for count in _chunks(times)]
    return {name: 100 * float(np.concatenate([part[name] for part in parts]).mean()) for name in parts[0]}


def _chunks(times: int) -> Iterator[int]:
    for first in range(0, times, CHUNK):
        yield min(CHUNK, times - first)


PAGE = """# What intervals hold, and tests see

{times} benchmarks are simulated in each situation, in which two systems are equally good; figures are \
in %, with a standard error of {error:.1f}. Groups are folds, or the classes of the one fold: *t, \
groups* is the interval of every table here, *sign flip* its test.

```sh
python benchmarks/coverage.py --times {times} --output {stem}
```

## How the simulated benchmarks come out

{spread}
## How often a 95 % interval of R@1 holds the truth

{recall}
## How often a 95 % interval of the difference holds the truth, which is 0

{lead}
## How often a lead is seen where there is none

At p ≤ .05, or where the interval leaves out 0. *Flips of the mean* is the sign-flip test without regard \
to folds.

{false}
The bootstrap takes the few folds there are for all there could be, and McNemar's test takes queries as \
independent. Intervals over all classes, and flips of the mean, take classes of a fold as independent, \
which share a trained model and may resemble each other. The sign-flip test allows for that as long as \
classes of a fold differ among themselves too; where they hardly do, as in the last row, the signs of \
classes are the wrong ones to flip, and the interval is the more cautious. One fold shows other classes, \
but never another training.
"""


def page(table: pd.DataFrame, times: int, stem: Path) -> str:
    """The table for reading, in parts."""

    def part(prefix: str) -> str:
        shown = table[["situation", *(name for name in table if str(name).startswith(prefix))]]
        return to_markdown(shown.rename(columns=lambda name: str(name).removeprefix(prefix)))

    heads = {"fold means": "fold means, sd", "leads of folds": "their leads, sd"}
    return PAGE.format(
        times=times,
        error=100 * np.sqrt(0.05 * 0.95 / times),
        stem=stem.as_posix(),
        spread=to_markdown(table[["situation", "R@1", *heads]].rename(columns=heads)),
        recall=part("R@1: "),
        lead=part("lead: "),
        false=part("false: "),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=4000, help="benchmarks in each situation")
    parser.add_argument("--output", type=Path, required=True, help="of .md and .csv, without suffix")
    chosen = parser.parse_args()
    table = coverage(chosen.times)
    write_text(chosen.output.with_suffix(".csv"), table.to_csv(index=False, lineterminator="\n"))
    write_text(chosen.output.with_suffix(".md"), page(table, chosen.times, chosen.output))


if __name__ == "__main__":
    main()
