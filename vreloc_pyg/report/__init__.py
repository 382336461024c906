"""Pictures of what a system found and how it learned; matplotlib is imported when one is drawn."""

from vreloc_pyg.report.plots import recall_curves, timeline_picture, training_curves

__all__ = ["recall_curves", "timeline_picture", "training_curves"]
