"""Answers in seconds."""

from vreloc_pyg.localization.base import RankingLocalizer
from vreloc_pyg.localization.localizer import Localizer
from vreloc_pyg.localization.rival import RivalLocalizer

__all__ = ["Localizer", "RankingLocalizer", "RivalLocalizer"]
