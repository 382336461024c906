"""Every system computes what it did in version 0.1, which trained and asked them by other code.

``golden.json`` was written by that version's code itself, on the synthetic task of ``tests/conftest.py``:

    PYTHONPATH=VERSION_0_1 python tests/experiments/test_nothing_changed.py tests/experiments/golden.json

When the code changed, parameters after 3 steps and the best five answers of every system, on all synthetic
data and on a fold of penn-action-reloc, were the same to the last bit on one machine, and so are the numbers
here. Between processors they are not: Adam turns the rounding of a gradient near zero into a whole step. So
what is compared holds on any of them: initial weights, the losses of three steps, how far tensors moved
in the median, and those answers of the initial weights that stay when features change by a ten-thousandth.
"""

import json
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.conftest import small_synthetic

EXPECTED = json.loads(Path(__file__).with_name("golden.json").read_text())
#: One step an epoch, so that the curves hold the losses of every step.
TRAINING = {"epochs": 3, "steps_per_epoch": 1, "batch_size": 4, "validation_pairs": 2, "seed": 3}
#: The paper's network at a width that takes seconds.
MODELS = {"mgffnet-paper": {"hidden_channels": 16}}
WINDOWS = {"shortest": 5, "longest": 40, "ratio": 2.0, "overlap": 0.5}
PAIRS, TOP, DIGITS = (0, 3, 6), 3, 6


def rounded(value):
    return float(f"{value:.{DIGITS}g}")


def answers(system, split):
    """Start, end and score of the best segments of some pairs."""
    found = []
    for query, reference in map(split.__getitem__, PAIRS):
        best = system.localize(query, reference, TOP)
        scores = [0.0] * len(best) if best.scores is None else best.scores.tolist()
        found.append([[*bounds, score] for bounds, score in zip(best, scores, strict=True)])
    return found


def weights(state):
    """Mean size of every tensor of numbers, in their order."""
    return [rounded(one.abs().mean()) for one in state.values() if one.is_floating_point() and one.numel()]


def training(train, initial):
    """Losses of each step by name, and the mean distance by which every tensor moved."""
    with tempfile.TemporaryDirectory() as folder:
        train(folder)
        curves = pd.read_csv(Path(folder) / "metrics.csv")
        last = torch.load(Path(folder) / "checkpoints/last.ckpt", map_location="cpu", weights_only=True)
    names = sorted(name for name in curves if name.startswith("train/"))
    losses = {name: [rounded(value) for value in curves[name].dropna()] for name in names}
    moved = [after - before for before, after in zip(initial, last["state_dict"].values(), strict=True)]
    return losses, weights(dict(enumerate(moved)))


# What differs between the versions


def as_of_version_01():
    """Data, rules by row, names of learned systems, what makes a localizer of one, and what trains it."""
    # Most of these are in no package of today.
    # isort: off
    from vreloc_pyg.baselines import RIVALS
    from vreloc_pyg.benchmarking.plan import TRAINING_FREE
    from vreloc_pyg.datasets.benchmark import Benchmark
    from vreloc_pyg.localization.localizer import Localizer
    from vreloc_pyg.localization.rival import RivalLocalizer
    from vreloc_pyg.localization.trained import train_system
    from vreloc_pyg.nn import MGFFNet
    from vreloc_pyg.proposals.sliding_window import SlidingWindows
    from vreloc_pyg.training.systems import VARIANTS, rival_settings, variant_preset
    from vreloc_pyg.workflows.evaluation import benchmark_rules

    # isort: on
    data = Benchmark("synthetic", small_synthetic().splits(), SlidingWindows(**WINDOWS), longest=40)

    def build(name):
        torch.manual_seed(TRAINING["seed"])
        if name in RIVALS:
            settings, _ = rival_settings(RIVALS[name], data, None, TRAINING)
            network = RIVALS[name].build(8, settings)
            return RivalLocalizer(RIVALS[name], network, data.proposals), network
        preset = variant_preset(name, data, model=MODELS.get(name), training=TRAINING)
        network = MGFFNet(**preset.model.to_dict())
        return Localizer(
            network, preset.pairing, data.proposals, preset.refine, search=preset.search
        ), network

    def train(name, folder):
        options = {"model": MODELS.get(name), "training": TRAINING, "calibrated": False, "progress": False}
        train_system(name, data, folder, **options)

    left = {"mgffnet-gat", "mgffnet-sage", "sst-triplet"}
    learned = [name for name in (*VARIANTS, *RIVALS) if name not in left]
    rules = {rule.name: rule for rule in [*benchmark_rules(data), *TRAINING_FREE.values()]}
    return data, rules, learned, build, train


def as_of_now():
    """The same by the code of today."""
    from vreloc_pyg.datasets import TaskData
    from vreloc_pyg.experiments.train import train_system
    from vreloc_pyg.localization import Localizer
    from vreloc_pyg.proposals.sliding_window import SlidingWindows
    from vreloc_pyg.systems.catalog import every_system, find_learned
    from vreloc_pyg.systems.spec import LearnedSystem, Rule, Traits

    data = TaskData("synthetic", small_synthetic().splits(), SlidingWindows(**WINDOWS), longest=40)

    def build(name):
        system = find_learned(name)
        torch.manual_seed(TRAINING["seed"])
        network = system.build(Traits.of(data), MODELS.get(name))
        return Localizer(system, network, data.proposals), network

    def train(name, folder):
        train_system(name, data, folder, MODELS.get(name), TRAINING, calibrated=False, progress=False)

    learned = [system.name for system in every_system() if isinstance(system, LearnedSystem)]
    rules = {system.row: system.fit(data) for system in every_system() if isinstance(system, Rule)}
    return data, rules, learned, build, train


def facts_of(name, build, train):
    """What is compared of a learned system, and its localizer of initial weights."""
    localizer, network = build(name)
    initial = [one.clone() for one in network.state_dict().values()]
    losses, moved = training(lambda folder: train(name, folder), initial)
    facts = {"weights": weights(network.state_dict()), "losses": losses, "moved": moved}
    return facts, localizer


def main(path):
    data, rules, learned, build, train = as_of_version_01()
    split = data.splits["test"]
    noise = torch.Generator().manual_seed(0)

    def shaken(one):
        factor = 1 + 1e-4 * torch.randn(one.features.shape, generator=noise)
        return replace(one, features=one.features * factor)

    near = [
        replace(split, queries=[*map(shaken, split.queries)], references=[*map(shaken, split.references)])
        for _ in range(4)
    ]

    def lasting(system):
        """Answers, without those that small changes of features would exchange."""
        found = answers(system, split)
        others = [answers(system, one) for one in near]
        for pair, best in enumerate(found):
            for rank, answer in enumerate(best):
                bounds = torch.tensor([one[pair][rank][:2] for one in others if rank < len(one[pair])])
                stays = len(bounds) == len(others) and (bounds - torch.tensor(answer[:2])).abs().max() < 0.01
                best[rank] = [*map(rounded, answer)] if stays else None
        return found

    golden = {"rules": {row: lasting(rule) for row, rule in rules.items()}, "learned": {}}
    for name in learned:
        facts, localizer = facts_of(name, build, train)
        golden["learned"][name] = {**facts, "answers": lasting(localizer)}
    Path(path).write_text(json.dumps(golden, separators=(",", ":")) + "\n")


# The comparison


@pytest.fixture(scope="module")
def now():
    mode = torch.get_deterministic_debug_mode()
    yield as_of_now()
    torch.set_deterministic_debug_mode(mode)


def assert_answers(found, expected):
    for own, theirs in zip(found, expected, strict=True):
        assert len(own) == len(theirs)
        for answer, kept in zip(own, theirs, strict=True):
            if kept is not None:
                assert answer == pytest.approx(kept, rel=1e-3, abs=1e-3)


def test_every_system_of_version_01_is_there(now):
    _, rules, learned, *_ = now
    assert EXPECTED["rules"].keys() == rules.keys()
    assert EXPECTED["learned"].keys() == set(learned)
    kept = [one for facts in EXPECTED["learned"].values() for pair in facts["answers"] for one in pair]
    assert sum(one is not None for one in kept) > 0.5 * len(kept)


@pytest.mark.parametrize("row", EXPECTED["rules"])
def test_rules_answer_as_they_did(now, row):
    data, rules, *_ = now
    assert_answers(answers(rules[row], data.splits["test"]), EXPECTED["rules"][row])


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED["learned"])
def test_learned_systems_start_train_and_answer_as_they_did(now, name):
    data, _, _, build, train = now
    expected = EXPECTED["learned"][name]
    facts, localizer = facts_of(name, build, train)
    assert facts["weights"] == pytest.approx(expected["weights"], rel=1e-5)
    assert facts["losses"].keys() == expected["losses"].keys()
    for loss, values in expected["losses"].items():
        assert facts["losses"][loss] == pytest.approx(values, rel=1e-3)
    # Where a gradient is zero but for rounding, the step of Adam is rounding too: that is so in few tensors.
    pairs = list(zip(facts["moved"], expected["moved"], strict=True))
    assert [own for own, kept in pairs if kept == 0] == [0 for _, kept in pairs if kept == 0]
    assert statistics.median(own / kept for own, kept in pairs if kept > 0) == pytest.approx(1, abs=0.02)
    assert_answers(answers(localizer, data.splits["test"]), expected["answers"])


if __name__ == "__main__":
    main(sys.argv[1])
