"""How well systems localize: R@1, its intervals, tables, and what others published."""

from typing import Any

from vreloc_pyg.evaluation.bootstrap import Interval, bootstrap_interval, paired_bootstrap
from vreloc_pyg.evaluation.comparison import (
    advantage_table,
    best_rival,
    check_curves,
    curve_table,
    rivals,
)
from vreloc_pyg.evaluation.evaluate import evaluate
from vreloc_pyg.evaluation.latex import to_latex
from vreloc_pyg.evaluation.mcnemar import format_mcnemar, holm, mcnemar, mcnemar_table
from vreloc_pyg.evaluation.published import published_numbers, with_published
from vreloc_pyg.evaluation.recall import (
    AVERAGE_THRESHOLDS,
    THRESHOLDS,
    expected_hits,
    hits,
    mean_tiou,
    recall_at_1,
    single_run_std,
)
from vreloc_pyg.evaluation.tables import (
    difference_table,
    format_intervals,
    result_table,
    save_table,
    to_markdown,
)

__all__ = [
    "AVERAGE_THRESHOLDS",
    "THRESHOLDS",
    "Interval",
    "RelocalizationRecall",
    "advantage_table",
    "best_rival",
    "bootstrap_interval",
    "check_curves",
    "curve_table",
    "difference_table",
    "evaluate",
    "expected_hits",
    "format_intervals",
    "format_mcnemar",
    "hits",
    "holm",
    "mcnemar",
    "mcnemar_table",
    "mean_tiou",
    "paired_bootstrap",
    "published_numbers",
    "recall_at_1",
    "result_table",
    "rivals",
    "save_table",
    "single_run_std",
    "to_latex",
    "to_markdown",
    "with_published",
]


def __getattr__(name: str) -> Any:
    # torchmetrics takes seconds to import and pulls in matplotlib, so it waits until it is asked for.
    if name == "RelocalizationRecall":
        from vreloc_pyg.evaluation.metrics import RelocalizationRecall

        return RelocalizationRecall
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
