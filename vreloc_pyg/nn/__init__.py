"""The multi-graph feature fusion network and its parts."""

from vreloc_pyg.nn.mgff_conv import MGFFConv
from vreloc_pyg.nn.mgff_layer import MGFFLayer
from vreloc_pyg.nn.mgff_net import MGFFNet
from vreloc_pyg.nn.mgff_settings import PRESETS, MGFFSettings
from vreloc_pyg.nn.ranking import rank_windows
from vreloc_pyg.nn.relevance import Relevance

__all__ = ["PRESETS", "MGFFConv", "MGFFLayer", "MGFFNet", "MGFFSettings", "Relevance", "rank_windows"]
