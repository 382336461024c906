from . import graphs as graphs, nn as nn
from .errors import VrelocError as VrelocError
from .graphs.multi_scale import multi_scale_edge_index as multi_scale_edge_index
from .graphs.pair_data import MultiScaleEdges as MultiScaleEdges, pair_data as pair_data
from .nn.mgff_conv import MGFFConv as MGFFConv
from .nn.mgff_layer import MGFFLayer as MGFFLayer
from .nn.mgff_net import MGFFNet as MGFFNet
from .nn.relevance import Relevance as Relevance
from .segments import Segments as Segments

__version__: str
