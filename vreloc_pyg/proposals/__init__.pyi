from .actionness_proposals import ActionnessProposals as ActionnessProposals
from .cache import CachedProposals as CachedProposals
from .listed import ListedProposals as ListedProposals, load_proposals as load_proposals
from .lists import (
    VideoProposals as VideoProposals,
    read_proposal_list as read_proposal_list,
    read_thumos_list as read_thumos_list,
    write_proposal_list as write_proposal_list,
)
from .proposal_recall import proposal_recall as proposal_recall
from .sliding_window import SlidingWindows as SlidingWindows
from .source import ProposalSource as ProposalSource
from .sst_proposals import SSTProposals as SSTProposals
from .tag import TAGSettings as TAGSettings, temporal_actionness_grouping as temporal_actionness_grouping
