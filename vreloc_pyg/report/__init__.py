"""What systems found and how they did: pictures, tables, pages; matplotlib waits until one is drawn."""

from vreloc_pyg.report.benchmark_report import write_report
from vreloc_pyg.report.plots import recall_curves, timeline_picture, training_curves
from vreloc_pyg.report.qualitative import choose_queries, qualitative_figure
from vreloc_pyg.report.readme import readme_table, replace_between_markers

__all__ = [
    "choose_queries",
    "qualitative_figure",
    "readme_table",
    "recall_curves",
    "replace_between_markers",
    "timeline_picture",
    "training_curves",
    "write_report",
]
