"""What a data set gives away: its audit rows, and when they say that it measures its own seams."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from vreloc_pyg.errors import DataError
from vreloc_pyg.evaluation.hits import recall_column
from vreloc_pyg.experiments.command import benchmark_systems
from vreloc_pyg.experiments.plan import BenchmarkPlan
from vreloc_pyg.systems.rules.audit import DETECTORS
from vreloc_pyg.systems.rules.window_rule import BEST_WINDOW_RULE

#: What an audit runs: the audit rows, and what they are compared with.
AUDITED = ("chance", "window-rule", BEST_WINDOW_RULE.name, "alignment", "audit")
#: Thresholds at which only somebody who knows where an answer ends is right.
STRICT = (0.7, 0.9)


def audit_task(plan: BenchmarkPlan, output: str | Path) -> None:
    """Write the report of a plan of :data:`AUDITED` systems, then :func:`check_audit`."""
    benchmark_systems(plan, output)
    check_audit(pd.read_csv(Path(output) / "results.csv"), plan.data)


def check_audit(results: pd.DataFrame, name: str) -> None:
    """Raise :class:`DataError` if a detector of joins is ahead of the window rule at a strict threshold.

    Args:
        results: a table of results that holds them.
        name: of the data set.
    """
    table = results.set_index("system")
    for column in map(recall_column, STRICT):
        rule = float(table.loc[BEST_WINDOW_RULE.row, column])
        for detector in DETECTORS:
            found = float(table.loc[detector.row, column])
            if found > rule:
                raise DataError(
                    f"{name} gives away where its references were joined: {detector.row!r} has {column} = "
                    f"{found:.1f} %, the window rule {rule:.1f} %. Compose it in another way before "
                    "anything is compared on it"
                )
