"""Systems of others with names like ours: what they are is told by their kin alone."""

import json
from dataclasses import dataclass, replace

import pandas as pd
import pytest
import torch
from torch import nn

from tests.conftest import small_synthetic
from tests.experiments.conftest import TINY
from vreloc_pyg import cli
from vreloc_pyg.datasets import TASKS, Loaded
from vreloc_pyg.evaluation import THRESHOLDS
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.sequences.statistics import window_statistics
from vreloc_pyg.settings import CheckedSettings
from vreloc_pyg.systems.catalog import SYSTEMS, find_system
from vreloc_pyg.systems.network import Ranked, RankingNetwork
from vreloc_pyg.systems.spec import LearnedSystem

OUTSIDERS = {"smith": "CNN-LSTM of Smith et al.", "plus": "MGFFNet-plus (Smith 2024)"}
#: Steps of the windows of the task.
SHORT = 8
RULES = ["window-rule", "window-rule-best"]


@dataclass(frozen=True)
class NearSettings(CheckedSettings):
    length_weight: float = 0.0


class Near(RankingNetwork):
    """The window rule over more windows, with a weight that hardly matters."""

    def __init__(self, num_features, settings):
        super().__init__(num_features, settings)
        self.gain = nn.Parameter(torch.ones(1))

    def rank(self, query, reference, windows):
        sizes = range(max(1, len(query) - 12), len(query) + 13)
        every = [[first, first + size] for size in sizes for first in range(len(reference) - size + 1)]
        every = torch.tensor(every or [[0, len(reference)]])
        wanted = window_statistics(query, torch.tensor([[0, len(query)]]))
        distance = (window_statistics(reference, every) - wanted).norm(dim=1)
        lengths = torch.log((every[:, 1] - every[:, 0]) / len(query)).abs()
        return Ranked(every, -self.gain * (distance + self.settings.length_weight * lengths))


def near_loss(network, examples):
    return (network.gain - 1).square().sum()


@pytest.fixture
def outsiders(monkeypatch):
    """Two rivals that find any copy, on a task of copies whose own windows are too short for every answer."""

    def splits(request):
        found = small_synthetic().splits()
        test = found["test"]
        queries = []
        for number, (query, reference) in enumerate(map(test.__getitem__, range(len(test)))):
            ((start, end),) = reference.steps_of(query.label).tolist()
            assert end - start > 2 * SHORT
            queries.append(replace(query, features=reference.features[start:end], video_id=f"copy {number}"))
        pairs = [(number, reference) for number, (_, reference) in enumerate(test.pairs)]
        return Loaded({**found, "test": replace(test, queries=queries, pairs=pairs)})

    windows = SlidingWindows(shortest=SHORT, longest=SHORT)
    monkeypatch.setitem(TASKS, "synthetic", replace(TASKS["synthetic"], splits=splits, windows=windows))
    for weight, (name, row) in enumerate(OUTSIDERS.items()):
        system = LearnedSystem(
            name=name,
            row=row,
            network=Near,
            settings=NearSettings,
            loss=near_loss,
            chosen={"length_weight": float(weight)},
        )
        monkeypatch.setitem(SYSTEMS, name, system)


def test_better_outsiders_are_rivals_whatever_they_are_called(outsiders, tmp_path):
    systems = [*RULES, *OUTSIDERS, "mgffnet"]
    arguments = ["--systems", f"[{','.join(systems)}]", "--training.all", json.dumps(TINY)]
    assert cli.main(["benchmark", *arguments, "--output", str(tmp_path)]) == 0
    ours = find_system("mgffnet").row
    assert ours == "MGFFNet (recommended)"
    results = pd.read_csv(tmp_path / "results.csv").set_index("system")
    assert set(results.index) == {find_system(name).row for name in systems}
    rows = list(OUTSIDERS.values())
    assert (results.loc[rows, "kin"] == "rival").all()
    assert (results.loc[rows, "parameters"] == 1).all()
    assert (results.loc[rows, "R@1(0.95)"] == 100).all()
    assert (results.loc[[find_system(name).row for name in RULES], "R@1(0.5)"] == 0).all()
    best = rows[0]

    differences = pd.read_csv(tmp_path / "differences.csv")["system"].tolist()
    assert set(differences) == {f"{ours} − {row}" for row in results.index if row != ours}
    tested = pd.read_csv(tmp_path / "sign_flip.csv")["system"].tolist()
    assert set(tested) == set(results.index) - {best}
    report = (tmp_path / "report.md").read_text()
    assert f"## Class by class against {best}, the best rival" in report
    standing = report.partition(f"## Where {ours} stands")[2].partition("\n## ")[0]
    assert f"Among all other systems, {ours} is first at no threshold." in standing
    assert standing.count(f"| {best} | 100.0 |") == len(THRESHOLDS)
