"""Training a source of candidate windows, and writing candidates down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from vreloc_pyg.datasets.augmentation import usual_changes
from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.nn.actionness_classifier import ActionnessSettings
from vreloc_pyg.proposals.actionness_proposals import ActionnessProposals
from vreloc_pyg.proposals.lists import VideoProposals, write_proposal_list
from vreloc_pyg.proposals.proposal_recall import proposal_recall
from vreloc_pyg.proposals.source import origin
from vreloc_pyg.proposals.tag import TAGSettings
from vreloc_pyg.segments import steps_to_seconds
from vreloc_pyg.settings import settings_from_dict
from vreloc_pyg.training.actionness import ActionnessTraining, train_actionness


def train_proposals(
    data: TaskData,
    output: str | Path,
    network: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    grouping: Mapping[str, Any] | None = None,
    resume: bool = False,
    progress: bool = True,
) -> tuple[ActionnessProposals, float]:
    """Train the actionness classifier of a task and save its proposals, checkpoints and curves.

    Training classes are learnt, validation classes choose. ``network``, ``training`` and ``grouping`` are
    settings to replace in :class:`.ActionnessSettings`, :class:`.ActionnessTraining` and
    :class:`.TAGSettings`; ``resume`` goes on from the last checkpoint in ``output``.

    Returns:
        The proposals, and the area under the ROC curve on the validation classes.
    """
    train_split, validation = data.splits["train"], data.splits["validation"]
    width = train_split.num_features
    run = settings_from_dict(ActionnessTraining, training or {})
    classifier, auc = train_actionness(
        train_split,
        validation,
        output,
        settings_from_dict(ActionnessSettings, {"in_channels": width, **(network or {})}),
        run,
        usual_changes(width, data.skeleton) if run.augment else None,
        resume=resume,
        progress=progress,
    )
    metadata = None if data.features is None else data.features.to_dict()
    about = {"classes": list(train_split.classes), "features": metadata, "validation_auc": auc}
    groups = settings_from_dict(TAGSettings, grouping or {})
    found = ActionnessProposals(classifier, groups, about=about)
    found.save_pretrained(output)
    return found, auc


def write_proposals(data: TaskData, output: str | Path, split: str = "all") -> pd.DataFrame:
    """Write the candidates of references as a list in SSN's layout; return their recall.

    The list is by whole videos, in milliseconds: what was proposed in parts of a video is moved to its place
    in it. Recall is that of the test split, or of the one chosen, for instances of its own classes. ``split``
    is ``"all"``, or whose references are listed.
    """
    bounds: dict[str, list[Tensor]] = {}
    instances: dict[str, dict[tuple[float, float, str], None]] = {}
    lasting: dict[str, float] = {}
    judged = data.splits["test" if split == "all" else split]
    found: dict[str, Tensor] = {}
    wanted: dict[str, Tensor] = {}
    for name in data.splits if split == "all" else (split,):
        for reference in data.splits[name].references:
            video, offset = origin(reference), reference.offset_s
            windows = steps_to_seconds(data.proposals.propose(reference), reference.seconds_per_step)
            bounds.setdefault(video, []).append(1000 * (windows + offset))
            ours = 1000 * (reference.segments + offset)
            spans = zip(ours.tolist(), reference.labels, strict=True)
            instances.setdefault(video, {}).update({(*span, label): None for span, label in spans})
            lasting[video] = max(lasting.get(video, 0.0), 1000 * (offset + reference.duration_s))
            if data.splits[name] is judged:
                found[reference.video_id] = windows
                chosen = [i for i, label in enumerate(reference.labels) if label in judged.classes]
                wanted[reference.video_id] = reference.segments[chosen]
    write_proposal_list(
        output,
        [
            VideoProposals(
                video,
                torch.unique(torch.cat(parts), dim=0) if len(parts) > 1 else parts[0],
                math.ceil(lasting[video]),
                1000.0,
                torch.tensor([one[:2] for one in instances[video]], dtype=torch.float64).reshape(-1, 2),
                tuple(one[2] for one in instances[video]),
            )
            for video, parts in bounds.items()
        ],
    )
    return proposal_recall(found, wanted)
