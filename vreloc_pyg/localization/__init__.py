"""Answers in seconds."""

from vreloc_pyg.localization.localizer import Localizer

__all__ = ["Localizer"]
