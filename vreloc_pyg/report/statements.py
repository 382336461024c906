"""Sentences about several benchmarks, made of their numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from vreloc_pyg.evaluation import difference_table, recall, without_audits
from vreloc_pyg.evaluation.comparison import choose_ours
from vreloc_pyg.evaluation.hits import recall_column
from vreloc_pyg.evaluation.tables import settled
from vreloc_pyg.report.standing import EQUAL
from vreloc_pyg.systems.mgffnet.presets import CNN, ELSEWHERE, MATCHING, MATCHING_CNN
from vreloc_pyg.systems.rules.audit import DETECTORS, KNOWN_JOINS
from vreloc_pyg.systems.rules.strongest_rule import StrongestRule
from vreloc_pyg.systems.rules.window_rule import BEST_WINDOW_RULE

#: tIoU thresholds of which pages speak.
SPOKEN = (0.5, 0.7, 0.9)


@dataclass(frozen=True)
class Benchmark:
    """What is known of a data set's benchmark.

    Args:
        name: of the data set, as pages call it.
        frame: predictions of all systems with their metrics.
        results: of :func:`~vreloc_pyg.evaluation.result_table`.
        hidden: rows that short tables leave out.
    """

    name: str
    frame: pd.DataFrame
    results: pd.DataFrame
    hidden: frozenset[str] = frozenset()

    @cached_property
    def systems(self) -> pd.DataFrame:
        """Results by system, without rows that are asked something else or told the annotation."""
        table = without_audits(self.results)
        return table[table["kin"] != "control"].set_index("system")

    @cached_property
    def present(self) -> pd.DataFrame:
        """Predictions for references that show the action."""
        return self.frame[self.frame["kind"] != "absent"]

    @property
    def ours(self) -> str:
        """The system that is compared with the others."""
        return choose_ours(self.results)

    def ahead(self, system: str, other: str, threshold: float) -> str:
        """How far a system is ahead in R@1, with its interval, and whether that tells the two apart."""
        both = self.present[self.present["system"].isin([system, other])]
        line = settled(difference_table(both, other, [recall(threshold)])).iloc[0]
        x, low, high = (float(line[f"{recall_column(threshold)}{side}"]) for side in ("", " low", " high"))
        if math.isnan(low):
            return f"{x:+.1f}"
        apart = low > EQUAL or high < -EQUAL
        return f"{x:+.1f} [{low:+.1f}, {high:+.1f}]" + " (not told apart)" * (not apart)


def claims(benchmarks: Sequence[Benchmark]) -> str:
    """What the numbers say, a list in Markdown.

    Of each data set: which system is first, by how much, and where ours stands. Then of all: which rule
    validation classes named, how well systems tell whether the action is there at all, and what is given
    away by the joins of references.
    """
    lines = []
    for about, said in (
        ("The strongest rule, as validation classes name it", map(_named_rule, benchmarks)),
        ("Whether the action is there at all, by AUROC", map(_presence, benchmarks)),
        ("What joins give away", map(_joins, benchmarks)),
    ):
        known = [
            f"on *{one.name}* {text}" for one, text in zip(benchmarks, said, strict=True) if text is not None
        ]
        lines += [f"{about}: {'; '.join(known)}."] if known else []
    placings = map(_placing, benchmarks)
    return "\n".join(f"- {line}" for line in (*placings, *lines))


def gist(benchmarks: Sequence[Benchmark]) -> str:
    """What to make of the numbers: what graphs, training and other sets are worth; a list in Markdown."""
    lines = []
    for question, compared in (
        ("What the graph is worth", [("", CNN.row), (MATCHING.row, MATCHING_CNN.row)]),
        ("What training is worth", [("", StrongestRule.name)]),
        ("What carries over to another data set", [(ELSEWHERE.row, StrongestRule.name)]),
    ):
        leads = [lead for row, other in compared if (lead := _leads(benchmarks, row, other))]
        if leads:
            lines.append(f"- **{question}**: {'; '.join(leads)}.")
    return "\n".join(lines)


def _leads(benchmarks: Sequence[Benchmark], row: str, other: str) -> str:
    """A row, by default ours, minus another on each data set that has both; empty where none has."""
    rows = [(one, row or one.ours) for one in benchmarks]
    rows = [(one, name) for one, name in rows if {name, other} <= set(one.systems.index) and name != other]
    leads = [f"{one.ahead(name, other, SPOKEN[0])} on *{one.name}*" for one, name in rows]
    return f"{rows[0][1]} minus {other}, R@1 at {_dot(SPOKEN[0])}: {', '.join(leads)}" if leads else ""


def _placing(one: Benchmark) -> str:
    parts = [_first(one, threshold) for threshold in SPOKEN]
    return f"*{one.name}*: {'; '.join(parts)}." + "".join(_ours(one))


def _first(one: Benchmark, threshold: float) -> str:
    # The strongest rule answers as other rows do, so that it is no further competitor beside them.
    others = one.systems.drop(index=StrongestRule.name, errors="ignore")
    values = (others if (others["kin"] == "rule").any() else one.systems)[recall_column(threshold)].astype(
        float
    )
    values = values.sort_values(ascending=False, kind="stable")
    first = values.index[values >= values.max() - EQUAL].tolist()
    names = _listed([f"**{name}**" for name in first])
    said = f"at {_dot(threshold)} {names} {'is' if len(first) == 1 else 'are'} first with {values.max():.1f}"
    rest = values.index[len(first) :]
    if not len(rest):
        return said
    return f"{said}, by {one.ahead(first[0], rest[0], threshold).removeprefix('+')} before {rest[0]}"


def _ours(one: Benchmark) -> list[str]:
    """How far ours is ahead of the best trained rival and of the strongest rule."""
    table = one.systems
    others = []
    trained = table[table["kin"] == "rival"][recall_column(SPOKEN[0])].astype(float)
    if len(trained):
        others.append((str(trained.idxmax()), ", the best trained rival"))
    if StrongestRule.name in table.index:
        others.append((StrongestRule.name, ""))
    sentences = []
    for name, what in others:
        if name != one.ours:
            ahead = ", ".join(one.ahead(one.ours, name, threshold) for threshold in SPOKEN)
            sentences.append(f" {one.ours} minus {name}{what}: {ahead} at {_dots()}.")
    return sentences


def _named_rule(one: Benchmark) -> str | None:
    """The rule that validation classes named in each fold, and how it did."""
    runs = one.frame[one.frame["system"] == StrongestRule.name].drop_duplicates("fold")
    if runs.empty:
        return None
    chosen = runs["about"].str.partition(": ")[0]
    folds = {name: runs.loc[chosen == name, "fold"].tolist() for name in dict.fromkeys(chosen)}
    named = _listed([f"{name} ({_folds(where)})" for name, where in folds.items()])
    rules = one.systems[one.systems["kin"] == "rule"]
    column = recall_column(SPOKEN[0])
    best = str(rules[column].astype(float).idxmax())
    cells = _cells(one.systems.loc[StrongestRule.name])
    return (
        f"{named}: {cells} at {_dots()} (the best on the test classes themselves: {best}, "
        f"{rules.loc[best, column]:.1f} at {_dot(SPOKEN[0])})"
    )


def _presence(one: Benchmark) -> str | None:
    """AUROC of the best system, of ours and of the strongest rule."""
    if "AUROC" not in one.systems or one.systems["AUROC"].isna().all():
        return None
    known = one.systems["AUROC"].dropna().astype(float)
    names = dict.fromkeys([str(known.idxmax()), one.ours, StrongestRule.name])
    return ", ".join(f"{name} {_cell(one.systems.loc[name], 'AUROC')}" for name in names if name in known)


def _joins(one: Benchmark) -> str | None:
    """The strongest detector of joins beside the window rule, at strict thresholds, and all joins known."""
    table = one.results.set_index("system")
    detectors = [row.row for row in DETECTORS if row.row in table.index]
    if not detectors or BEST_WINDOW_RULE.row not in table.index:
        return None
    parts = []
    for threshold in SPOKEN[1:]:
        values = table.loc[detectors, recall_column(threshold)].astype(float)
        rule = float(table.loc[BEST_WINDOW_RULE.row, recall_column(threshold)])
        parts.append(
            f"at {_dot(threshold)} {values.max():.1f} by the strongest detector ({values.idxmax()}) and "
            f"{rule:.1f} by the window rule alone"
        )
    if KNOWN_JOINS.row in table.index:
        known = (float(table.loc[KNOWN_JOINS.row, recall_column(t)]) for t in SPOKEN[1:])
        parts.append(f"{' and '.join(f'{x:.1f}' for x in known)} with all joins known")
    return ", ".join(parts)


def _listed(words: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def _folds(folds: Sequence[int]) -> str:
    return ("fold " if len(folds) == 1 else "folds ") + ", ".join(map(str, folds))


def _cells(row: pd.Series) -> str:
    return ", ".join(_cell(row, recall_column(threshold)) for threshold in SPOKEN)


def _cell(row: pd.Series, column: str) -> str:
    x, low, high = (float(row[f"{column}{side}"]) for side in ("", " low", " high"))
    return f"{x:.1f}" if math.isnan(low) else f"{x:.1f} [{low:.1f}, {high:.1f}]"


def _dot(threshold: float) -> str:
    return f"{threshold:g}".removeprefix("0")


def _dots() -> str:
    return ", ".join(map(_dot, SPOKEN))
