"""Annotations and features as queries, references and pairs."""

from vreloc_pyg.datasets.augmentation import Augmentation
from vreloc_pyg.datasets.base import Query, Reference, RelocalizationSplit
from vreloc_pyg.datasets.benchmark import Benchmark, load_benchmark
from vreloc_pyg.datasets.folds import ClassFold, class_folds
from vreloc_pyg.datasets.penn_action import PennAction, penn_action_reloc, penn_folds
from vreloc_pyg.datasets.sampling import GradedSampler, TrainingPool, TripletSampler
from vreloc_pyg.datasets.synthetic import Synthetic
from vreloc_pyg.datasets.utkinect import UTKinect, utkinect_folds, utkinect_reloc

__all__ = [
    "Augmentation",
    "Benchmark",
    "ClassFold",
    "GradedSampler",
    "PennAction",
    "Query",
    "Reference",
    "RelocalizationSplit",
    "Synthetic",
    "TrainingPool",
    "TripletSampler",
    "UTKinect",
    "class_folds",
    "load_benchmark",
    "penn_action_reloc",
    "penn_folds",
    "utkinect_folds",
    "utkinect_reloc",
]
