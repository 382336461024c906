"""Video relocalization with graph neural networks on PyTorch Geometric."""

from vreloc_pyg.errors import VrelocError
from vreloc_pyg.graphs import MultiScaleEdges, multi_scale_edge_index, pair_data
from vreloc_pyg.nn import MGFFConv, MGFFLayer, MGFFNet, Relevance
from vreloc_pyg.segments import Segments

__version__ = "0.1.0"

__all__ = [
    "MGFFConv",
    "MGFFLayer",
    "MGFFNet",
    "MultiScaleEdges",
    "Relevance",
    "Segments",
    "VrelocError",
    "multi_scale_edge_index",
    "pair_data",
]
