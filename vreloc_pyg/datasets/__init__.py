"""Annotations and features as queries, references and pairs."""

from vreloc_pyg.datasets.activitynet import ActivityNet
from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.datasets.folder import Folder, validate_csv
from vreloc_pyg.datasets.folds import ClassFold, class_folds, class_split
from vreloc_pyg.datasets.penn_action import PennAction, penn_action_reloc, penn_folds
from vreloc_pyg.datasets.sampling import GradedSampler, TrainingPool, TripletSampler
from vreloc_pyg.datasets.splits import Query, Reference, RelocalizationSplit, StoredQuery, StoredReference
from vreloc_pyg.datasets.synthetic import Synthetic
from vreloc_pyg.datasets.tasks import Benchmark, load_benchmark
from vreloc_pyg.datasets.thumos14 import Thumos14
from vreloc_pyg.datasets.utkinect import UTKinect, utkinect_folds, utkinect_reloc
from vreloc_pyg.datasets.video_reloc import VideoReloc, official_pairs
from vreloc_pyg.datasets.video_reloc_derive import derive_items

__all__ = [
    "ActivityNet",
    "Augmentation",
    "Benchmark",
    "ClassFold",
    "Folder",
    "GradedSampler",
    "PennAction",
    "Query",
    "Reference",
    "RelocalizationSplit",
    "StoredQuery",
    "StoredReference",
    "Synthetic",
    "Thumos14",
    "TrainingPool",
    "TripletSampler",
    "UTKinect",
    "VideoReloc",
    "class_folds",
    "class_split",
    "derive_items",
    "load_benchmark",
    "official_pairs",
    "penn_action_reloc",
    "penn_folds",
    "utkinect_folds",
    "utkinect_reloc",
    "validate_csv",
]
