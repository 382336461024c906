"""Videos and networks that the tests of proposals share."""

import torch

from vreloc_pyg.datasets import Reference
from vreloc_pyg.nn.actionness_classifier import ActionnessClassifier, ActionnessSettings
from vreloc_pyg.nn.sst_network import SSTNetwork, SSTSettings


def video(num_steps=20, width=5, step_s=0.5, video_id="v", seed=1, **options):
    """A reference of random features that shows nothing."""
    features = torch.randn(num_steps, width, generator=torch.Generator().manual_seed(seed))
    return Reference(features, step_s, torch.empty(0, 2), (), video_id, **options)


def classifier(seed=0, **settings):
    torch.manual_seed(seed)
    return ActionnessClassifier(ActionnessSettings(5, **{"hidden_channels": 8, **settings}))


def sst_network(seed=0, **settings):
    torch.manual_seed(seed)
    return SSTNetwork(5, SSTSettings(**{"hidden_channels": 6, "num_anchors": 8, **settings}))
