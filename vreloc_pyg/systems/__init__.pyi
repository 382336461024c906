from .catalog import (
    SYSTEMS as SYSTEMS,
    choose_systems as choose_systems,
    every_system as every_system,
    find_learned as find_learned,
    find_system as find_system,
)
from .examples import Example as Example, draw_example as draw_example, pad_clips as pad_clips
from .network import Ranked as Ranked, RankingNetwork as RankingNetwork
from .protocol import LocalizerProtocol as LocalizerProtocol
from .rules.chance import Chance as Chance
from .rules.frame_level import FrameLevel as FrameLevel
from .rules.query_blind import (
    CentredSegment as CentredSegment,
    CutDetector as CutDetector,
    PriorSegment as PriorSegment,
    WholeReference as WholeReference,
)
from .rules.window_rule import WindowRule as WindowRule
from .spec import (
    Control as Control,
    LearnedSystem as LearnedSystem,
    Rule as Rule,
    System as System,
    Traits as Traits,
)
