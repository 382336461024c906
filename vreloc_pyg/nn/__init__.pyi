from .match_conv import MatchConv as MatchConv
from .mgff_conv import MGFFConv as MGFFConv
from .mgff_layer import MGFFLayer as MGFFLayer
from .mgff_net import MGFFNet as MGFFNet
from .mgff_settings import MGFFSettings as MGFFSettings
from .relevance import Relevance as Relevance
