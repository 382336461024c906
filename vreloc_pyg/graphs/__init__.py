"""Pairs of clips as graphs."""

from vreloc_pyg.graphs.multi_scale import (
    multi_scale_degree,
    multi_scale_edge_index,
    multi_scale_mean,
    multi_scale_sum,
    to_dense_adjacency,
)
from vreloc_pyg.graphs.pair_data import MultiScaleEdges, fit_length, pair_data, validate_pair
from vreloc_pyg.graphs.pairing import Pairing
from vreloc_pyg.graphs.weights import edge_weights

__all__ = [
    "MultiScaleEdges",
    "Pairing",
    "edge_weights",
    "fit_length",
    "multi_scale_degree",
    "multi_scale_edge_index",
    "multi_scale_mean",
    "multi_scale_sum",
    "pair_data",
    "to_dense_adjacency",
    "validate_pair",
]
