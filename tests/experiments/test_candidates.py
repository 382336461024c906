import numpy as np
import pandas as pd
import pytest
import torch

from tests.experiments.conftest import WINDOWS
from vreloc_pyg.datasets import Query, Reference, RelocalizationSplit, TaskData
from vreloc_pyg.datasets.cropping import crop_reference
from vreloc_pyg.experiments.candidates import train_proposals, write_proposals
from vreloc_pyg.proposals.listed import load_proposals
from vreloc_pyg.segments import temporal_iou


@pytest.mark.parametrize("split", ["all", "test"])
def test_written_proposals_are_read_as_the_same_windows(tmp_path, split):
    """Of whole videos, of parts of videos and of cropped ones: the list is by whole videos."""

    def reference(video_id, num_steps, sources=(), offset_s=0.0, cut_from=""):
        truth = torch.tensor([[2.0, 5.0]]).double()
        return Reference(
            torch.zeros(num_steps, 2), 0.4, truth, ("run",), video_id, sources, offset_s, cut_from
        )

    whole, part = reference("a", 50, ("anna",)), reference("b#1", 30, ("b", "anna"), 6.0, "b")
    later, composed = reference("b#2", 30, ("b", "anna"), 20.0, "b"), reference("c", 40, ("x", "y"))
    query = Query(torch.zeros(4, 2), 0.4, "run", "q")
    splits = {
        name: RelocalizationSplit(name, [query], found, [(0, 0)])
        for name, found in (("train", [part, later]), ("validation", [whole]), ("test", [whole, composed]))
    }
    table = write_proposals(TaskData("made", splits, WINDOWS), tmp_path / "list.txt", split)
    assert table["per_instance"].iloc[0] > 0
    listed = load_proposals(tmp_path / "list.txt")
    for one in (whole, composed):
        assert sorted(listed.propose(one).tolist()) == sorted(WINDOWS(one.num_steps).tolist())
    if split == "test":
        return
    for one in (part, later):
        assert {tuple(w) for w in WINDOWS(30).tolist()} <= {tuple(w) for w in listed.propose(one).tolist()}
    cropped = crop_reference(part, np.random.default_rng(3), 1.0)
    windows = listed.propose(cropped)
    assert windows.max() <= cropped.num_steps
    best = temporal_iou(windows.double(), cropped.segments / 0.4).max().item()
    assert best == pytest.approx(temporal_iou(WINDOWS(30).double(), part.segments / 0.4).max().item())


def test_actionness_goes_on_and_sees_changed_features_where_asked(small_splits, tmp_path):
    data = TaskData("made", small_splits, WINDOWS)

    def weights(name, epochs, augment, resume=False):
        run = {"epochs": epochs, "steps_per_epoch": 2, "batch_size": 2, "augment": augment}
        network = {"hidden_channels": 4, "dropout": 0.0}
        found, _ = train_proposals(data, tmp_path / name, network, run, resume=resume, progress=False)
        return torch.cat([parameter.flatten() for parameter in found.network.parameters()])

    plain, changed = weights("plain", 1, False), weights("changed", 1, True)
    assert not torch.equal(plain, changed)
    weights("changed", 2, True, resume=True)
    epochs = pd.read_csv(tmp_path / "changed" / "metrics.csv")["epoch"]
    assert sorted(set(epochs)) == [0, 1]
