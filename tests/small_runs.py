"""Systems on a task of four training classes and eight features, where they train in a second."""

from dataclasses import dataclass

import torch

from vreloc_pyg.datasets.synthetic import Synthetic
from vreloc_pyg.datasets.tasks import TaskData
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.settings import RunSettings
from vreloc_pyg.systems.catalog import find_learned
from vreloc_pyg.systems.network import RankingNetwork
from vreloc_pyg.systems.spec import LearnedSystem, Traits
from vreloc_pyg.training.data import ExampleDataset
from vreloc_pyg.training.module import TrainingModule
from vreloc_pyg.training.recipe import Recipe
from vreloc_pyg.training.run import train

WINDOWS = SlidingWindows(shortest=5, longest=40, ratio=2.0, overlap=0.5)
SPLITS = Synthetic(4, 2, 2, num_train=12, num_validation=4, num_test=4, num_features=8).splits()
DATA = TaskData("small", SPLITS, WINDOWS, shortest=5, longest=40)


@dataclass(frozen=True)
class Run:
    """What a training run needs."""

    system: LearnedSystem
    network: RankingNetwork
    recipe: Recipe
    settings: RunSettings

    def examples(self, size):
        drawn = ExampleDataset(self.recipe.draw, size, self.settings.seed)
        return [drawn[index] for index in range(size)]

    def batch(self, size=3):
        return self.recipe.collate(self.examples(size))

    def train(self, folder, **options):
        return train(self.network, self.recipe, self.settings, folder, progress=False, **options)


def small_run(name="mgffnet", model=None, **training):
    """A run of a new network, dropout included."""
    system = find_learned(name)
    settings = system.training_for({"epochs": 2, "steps_per_epoch": 2, "batch_size": 3, **training})
    torch.manual_seed(settings.seed)
    network = system.build(Traits.of(DATA), {"hidden_channels": 8, **(model or {})})
    return Run(system, network, system.recipe(network, settings, DATA), settings)


class Bench:
    """The module of a run with its optimiser and what it logs, without a trainer."""

    def __init__(self, run):
        self.run = run
        self.module = TrainingModule(run.network, run.recipe, run.settings).train()
        self.logged = {}
        self.module.log = lambda name, value, **_: self.logged.update({name: float(value.detach())})
        made = self.module.configure_optimizers()
        self.scheduler = made["lr_scheduler"]["scheduler"] if isinstance(made, dict) else None
        self.optimizer = made["optimizer"] if isinstance(made, dict) else made

    def move(self, loss):
        """Take the step of one loss."""
        self.optimizer.zero_grad()
        loss.backward()
        self.module.configure_gradient_clipping(self.optimizer)
        self.optimizer.step()

    def step(self, batch):
        self.logged.clear()
        self.move(self.module.training_step(batch, 0))

    def weights(self):
        return {name: value.detach().clone() for name, value in self.run.network.named_parameters()}


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


class WithoutTest(dict):
    """Splits of a task that nobody may ask for its test classes."""

    def __getitem__(self, name):
        assert name != "test", "test classes choose nothing"
        return super().__getitem__(name)
