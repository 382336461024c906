from .calibration import Calibration as Calibration
from .localizer import Localizer as Localizer
from .locate import locate as locate
from .training_free import training_free as training_free
