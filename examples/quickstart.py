"""Pair graphs, a model, scores and offsets: the graph part alone, in plain PyTorch Geometric."""

import torch
from torch_geometric.loader import DataLoader

from vreloc_pyg import MGFFNet, MultiScaleEdges, pair_data


def main() -> None:
    torch.manual_seed(0)
    query = torch.randn(30, 64)  # 30 steps of 64 features
    proposals = [torch.randn(steps, 64) for steps in (12, 25, 40, 33)]

    # Every pair is a Data object; MultiScaleEdges adds edge_index_k1, edge_index_k2, edge_index_k3.
    transform = MultiScaleEdges(scales=(1, 2, 3))
    graphs = [transform(pair_data(query, proposal, num_steps=40)) for proposal in proposals]
    print(graphs[0])

    model = MGFFNet(in_channels=64, hidden_channels=32).eval()
    with torch.no_grad():
        for batch in DataLoader(graphs, batch_size=4):
            score, offsets = model(batch)
            print("message passing:", score.tolist(), offsets.shape)

        # Without edges the standard graph is used in closed form: same scores, no edge lists.
        clips = torch.stack([graph.x[40:] for graph in graphs])
        print("closed form:    ", model.rank(graphs[0].x[:40], clips).score.tolist())


if __name__ == "__main__":
    main()
