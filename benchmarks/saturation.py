"""How often the paper's network learns eight pairs by heart, and the share of its tanh that is saturated.

python benchmarks/saturation.py
"""

from statistics import mean

import numpy as np
import torch
from torch_geometric.data import Batch, Data

from vreloc_pyg import MGFFNet
from vreloc_pyg.datasets.synthetic import Synthetic
from vreloc_pyg.graphs import Pairing, multi_scale_degree
from vreloc_pyg.nn.losses import triplet_loss
from vreloc_pyg.segments import temporal_iou


def eight_pairs() -> Data:
    """Eight queries with eight windows each, the answer first, as 64 graphs of 40 + 40 nodes."""
    split = Synthetic(6, 2, 3, num_train=24, num_validation=8, num_test=9, num_features=8).splits()["train"]
    rng, graphs = np.random.default_rng(0), []
    for query, reference in map(split.__getitem__, range(8)):
        answers = reference.steps_of(query.label)
        ends = np.sort(rng.integers(0, reference.num_steps, size=(200, 2)), axis=1)
        drawn = torch.from_numpy(ends[ends[:, 1] - ends[:, 0] > 4])
        wrong = drawn[temporal_iou(drawn.double(), answers.double()).amax(1) < 0.7][:7]
        graphs += Pairing().pair(query.features, reference.features, torch.cat([answers[:1], wrong])).graphs()
    return Batch.from_data_list(graphs)


def network(seed: int, scaled: bool) -> MGFFNet:
    """The paper's network, smaller; ``scaled``: each W_k begins divided by the mean degree of its graph."""
    torch.manual_seed(seed)
    model = MGFFNet(in_channels=8, hidden_channels=32, dropout=0.0)
    for conv in (conv for layer in model.layers for conv in layer.convs if scaled):
        conv.lin_weight.data /= multi_scale_degree(40, 40, conv.scale).float().mean()
    return model


@torch.no_grad()
def judge(model: MGFFNet, graphs: Data) -> tuple[float, list[float]]:
    """By how much the answers' scores lead at least, and the share of tanh beyond +- .99 in each layer."""
    inputs: list[torch.Tensor] = []
    hooks = [layer.fuse.register_forward_pre_hook(lambda _, x: inputs.append(x[0])) for layer in model.layers]
    scores = model.eval()(graphs).score.view(-1, 8)
    for hook in hooks:
        hook.remove()
    return float((scores[:, :1] - scores[:, 1:]).min()), [
        float((x.abs() > 0.99).float().mean()) for x in inputs
    ]


def share(models: list[MGFFNet], graphs: Data) -> str:
    layers = zip(*(judge(model, graphs)[1] for model in models), strict=True)
    return " and ".join(f"{mean(layer):.0%}" for layer in layers)


def learn(model: MGFFNet, graphs: Data, rate: float, most: int = 400) -> int | None:
    """Train until every answer leads by .1; the number of steps, or ``None`` after ``most``."""
    optimizer = torch.optim.Adam(model.parameters(), rate)
    for step in range(1, most + 1):
        optimizer.zero_grad()
        triplet_loss(model.train()(graphs).score.view(-1, 8)).backward()
        optimizer.step()
        if step % 20 == 0 and judge(model, graphs)[0] > 0.1:
            return step
    return None


def main(seeds: int = 12, steps: int = 400) -> None:
    graphs = eight_pairs()
    print("| initial W_k | learning rate | learned | after steps | saturated at first | in the end |")
    print("| --- | ---: | ---: | --- | --- | --- |")
    for scaled, rate in ((scaled, rate) for scaled in (False, True) for rate in (1e-4, 1e-3, 5e-3)):
        models = [network(seed, scaled) for seed in range(seeds)]
        name, shares = "divided by the mean degree" if scaled else "literal", [share(models, graphs)]
        found = [step for model in models if (step := learn(model, graphs, rate, steps)) is not None]
        span = f"{min(found)} to {max(found)}" if found else "-"
        row = [name, f"{rate:g}", f"{len(found)} of {seeds}", span, *shares, share(models, graphs)]
        print("|", " | ".join(row), "|", flush=True)


if __name__ == "__main__":
    main()
