import numpy as np
import torch
from learned_joins import REACH, audit_fold, beside_joins, channels

from tests.systems.test_audit import task
from vreloc_pyg.datasets.splits import Reference


def test_steps_beside_a_join_and_what_is_seen_about_them():
    one = Reference(torch.randn(30, 52), 0.1, torch.empty(0, 2), (), "r", joins=(0, 12, 30))
    assert np.flatnonzero(beside_joins(one)).tolist() == [0, 11, 12, 29]
    assert channels(one, None).shape == (30, (2 * REACH + 1) * 4)


def test_a_detector_learns_what_it_is_taught():
    """Nothing tells the joins of these small references but chance: a number between none and all."""
    found = audit_fold(task(), learned=8)
    assert 40 < found["AUC of the detector"] <= 100
    assert set(found) == {
        "AUC of the detector",
        *(f"{row}, R@1({t})" for row in ("trained detector + rule", "window rule") for t in (0.7, 0.9)),
    }
