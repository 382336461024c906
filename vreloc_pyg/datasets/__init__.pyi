from .activitynet import ActivityNet as ActivityNet
from .augmentation import Augmentation as Augmentation
from .folder import Folder as Folder, validate_folder as validate_folder
from .folds import ClassFold as ClassFold, class_folds as class_folds, class_split as class_split
from .own_task import own_task as own_task
from .penn_action import (
    PennAction as PennAction,
    penn_action_reloc as penn_action_reloc,
    penn_folds as penn_folds,
)
from .sampling import (
    GradedSampler as GradedSampler,
    TrainingPool as TrainingPool,
    TripletSampler as TripletSampler,
)
from .splits import (
    Query as Query,
    Reference as Reference,
    RelocalizationSplit as RelocalizationSplit,
    StoredQuery as StoredQuery,
    StoredReference as StoredReference,
)
from .synthetic import Synthetic as Synthetic
from .task import Loaded as Loaded, Request as Request, Task as Task
from .tasks import TASKS as TASKS, TaskData as TaskData, find_task as find_task, load_task as load_task
from .thumos14 import Thumos14 as Thumos14
from .utkinect import UTKinect as UTKinect, utkinect_folds as utkinect_folds, utkinect_reloc as utkinect_reloc
from .video_reloc import VideoReloc as VideoReloc, official_pairs as official_pairs
