"""What a training run consists of: the one thing that the trainer knows of what it trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from vreloc_pyg.errors import SettingsError

#: What chooses the best checkpoint of a system: the mean tIoU of its answers on validation pairs.
MEAN_TIOU = "validation/mean_tiou"

Losses = Mapping[str, Tensor]


class Group(NamedTuple):
    """Parameters that one Adam moves at one rate.

    The weight decay is decoupled (AdamW). Groups of one word ``clipped_with`` share one gradient norm when
    gradients are clipped.
    """

    parameters: list[nn.Parameter]
    learning_rate: float
    weight_decay: float
    clipped_with: str = ""


@dataclass(frozen=True)
class Recipe:
    """Examples, losses and judgement of a network that is trained.

    Args:
        draw: an example of a random state; a function of that state alone.
        loss: of the network in training mode and a batch: scalars by name, of which the sum is minimised.
        groups: disjoint groups that hold every parameter of the network.
        validation: examples that choose the checkpoint.
        judge: of the network in eval mode and a validation example: scalars by name, which are averaged.
        collate: a batch of drawn examples. (default: a list)
        monitor: name of the judgement that chooses, the greater the better.
        skips_a_number: pass over one random number before every epoch but the first, as runs of version 0.1
            did whose numbers are published here.
    """

    draw: Callable[[np.random.Generator], Any]
    loss: Callable[[Any, Any], Losses | Tensor]
    groups: Sequence[Group]
    validation: Sequence[Any] | Dataset[Any]
    judge: Callable[[Any, Any], Losses]
    collate: Callable[[Sequence[Any]], Any] = list
    monitor: str = MEAN_TIOU
    skips_a_number: bool = False

    def losses(self, network: nn.Module, batch: Any, mixed_precision: bool = False) -> dict[str, Tensor]:
        """The losses of a batch by name, in float32; their sum is minimised."""
        device = next(network.parameters()).device.type
        with torch.autocast(device, torch.bfloat16, enabled=mixed_precision):
            losses = self.loss(network, batch)
        named = {"loss": losses} if isinstance(losses, Tensor) else losses
        return {name: loss.float() for name, loss in named.items()}

    def __deepcopy__(self, memo: dict[int, Any]) -> Recipe:
        return self  # averaging copies the module that is trained, and need not copy its data


def make_optimizer(network: nn.Module, groups: Sequence[Group]) -> torch.optim.Optimizer:
    """One AdamW with a group of parameters for each of ``groups``.

    Adam keeps its statistics for each parameter alone, so that one optimiser with several groups takes the
    steps that several optimisers would. A parameter in two groups, or in none, is a :class:`SettingsError`.
    """
    grouped = [id(parameter) for group in groups for parameter in group.parameters]
    for name, parameter in network.named_parameters():
        count = grouped.count(id(parameter))
        if count != 1:
            raise SettingsError(
                f"Expected every parameter in one group of the optimiser (got {name} in {count})"
            )
    names = ("params", "lr", "weight_decay", "clipped_with")
    return torch.optim.AdamW([dict(zip(names, group, strict=True)) for group in groups])


def clip_gradients(optimizer: torch.optim.Optimizer, greatest: float) -> None:
    """Scale gradients so that the norm of parameters that are clipped together is at most ``greatest``."""
    together: dict[str, list[nn.Parameter]] = {}
    for group in optimizer.param_groups:
        together.setdefault(group["clipped_with"], []).extend(group["params"])
    for parameters in together.values():
        nn.utils.clip_grad_norm_(parameters, greatest)


class Decay:
    """Factor of the learning rate: warm-up over 50 steps, then the square root of the share of steps left."""

    def __init__(self, num_steps: int) -> None:
        self.num_steps = num_steps

    def __call__(self, step: int) -> float:
        left: float = max(0.0, 1 - step / self.num_steps) ** 0.5
        return min(1.0, (step + 1) / 50) * left
