from .hetero import from_hetero as from_hetero, to_hetero as to_hetero
from .multi_scale import (
    multi_scale_degree as multi_scale_degree,
    multi_scale_edge_index as multi_scale_edge_index,
    multi_scale_product as multi_scale_product,
    multi_scale_sum as multi_scale_sum,
    multi_scale_sums as multi_scale_sums,
    to_dense_adjacency as to_dense_adjacency,
)
from .pair_data import (
    MultiScaleEdges as MultiScaleEdges,
    pair_data as pair_data,
    validate_pair as validate_pair,
)
from .pair_graph import PairData as PairData
from .pairing import Pairing as Pairing
from .weights import EDGE_WEIGHTS as EDGE_WEIGHTS, EdgeWeight as EdgeWeight, edge_weights as edge_weights
