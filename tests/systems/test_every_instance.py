"""Systems learn where any annotated action begins and ends, not only those of the query's class."""

import numpy as np
import pytest
import torch

from tests.small_runs import SPLITS, small_run
from vreloc_pyg.segments import temporal_iou
from vreloc_pyg.systems.examples import draw_hard_window
from vreloc_pyg.systems.matching_transformer.matching_losses import boundary_steps


@pytest.mark.parametrize("name", ["matching-transformer", "cgbm", "sst"])
def test_other_instances_change_the_loss(name):
    run = small_run(name)
    network, loss = run.network.eval(), run.recipe.loss
    examples = run.batch(4)
    assert any(len(one.instances) > len(one.answers) for one in examples)
    alone = [one._replace(instances=one.answers) for one in examples]
    with torch.no_grad():
        assert not torch.isclose(loss(network, examples), loss(network, alone))


@pytest.mark.parametrize("name", ["matching-transformer", "cgbm"])
def test_a_weight_of_zero_leaves_other_instances_out(name):
    run = small_run(name, {"instance_weight": 0.0})
    network, loss = run.network.eval(), run.recipe.loss
    examples = run.batch(4)
    alone = [one._replace(instances=one.answers) for one in examples]
    with torch.no_grad():
        assert torch.equal(loss(network, examples), loss(network, alone))


def test_steps_that_begin_and_end_an_instance():
    found = boundary_steps(torch.tensor([[1, 3], [3, 4]]), 5)
    assert found.nonzero().tolist() == [[1, 0], [2, 1], [3, 0], [3, 1]]


def test_hard_windows_are_wrong_and_some_are_nearly_other_instances():
    rng = np.random.default_rng(0)
    nearest = {"own": [], "other": []}
    for number in range(60):
        query, reference = SPLITS["train"][number % len(SPLITS["train"])]
        answers = reference.steps_of(query.label)
        found = draw_hard_window(reference, answers, rng)
        if found is None:
            continue
        assert 0 <= found[0] < found[1] <= reference.num_steps
        labels = sorted(set(reference.labels) - {query.label})
        others = torch.cat([answers[:0], *map(reference.steps_of, labels)])
        for kind, instances in (("own", answers), ("other", others)):
            if len(instances):
                nearest[kind].append(float(temporal_iou(found[None].double(), instances.double()).max()))
    assert max(nearest["own"]) < 0.5
    assert max(nearest["own"]) > 0.3  # the answer moved
    assert max(nearest["other"]) > 0.6  # another action, nearly right


@pytest.mark.parametrize(("name", "part"), [("video-level", "hard"), ("aft-srm", "negative")])
def test_half_of_the_negatives_are_hard(name, part, monkeypatch):
    module = "video_level" if name == "video-level" else "aft_srm.aft_srm"
    place = f"vreloc_pyg.systems.{module}.draw_hard_window"
    monkeypatch.setattr(place, lambda *_: torch.tensor([0, 3]))
    examples = small_run(name, augment=False).examples(60)
    hard = [getattr(one, part) for one in examples]
    drawn = sum(one is not None and len(one) == (2 if part == "hard" else 3) for one in hard)
    assert 18 <= drawn <= 42
