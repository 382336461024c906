"""Below our networks PyG never reaches for torch-scatter, as docs/installing.md says."""

import pytest
import torch
import torch_geometric.typing
from torch_geometric.data import Batch
from torch_geometric.utils import _scatter, _segment, segment

from vreloc_pyg import MGFFNet, MultiScaleEdges, multi_scale_edge_index, pair_data
from vreloc_pyg.nn import MatchConv


class Trap:
    """In the place of torch_scatter."""

    def __getattr__(self, name):
        raise AssertionError(f"torch_scatter.{name} was called")


@pytest.fixture
def trap(monkeypatch):
    monkeypatch.setattr(torch_geometric.typing, "WITH_TORCH_SCATTER", True)
    for module in (_scatter, _segment):
        monkeypatch.setattr(module, "torch_scatter", Trap(), raising=False)


def test_networks_are_trained_without_it(trap):
    model = MGFFNet(in_channels=6, hidden_channels=4)
    edges = MultiScaleEdges(model.settings.scales)
    graphs = [edges(pair_data(torch.randn(5, 6), torch.randn(7, 6))) for _ in range(2)]
    model(Batch.from_data_list(graphs)).score.sum().backward()


def test_matching_is_trained_without_it(trap):
    conv = MatchConv(6, 4, heads=1, scale=2)
    edge_index = multi_scale_edge_index(5, 7, 2)
    x, logits = torch.randn(12, 6, requires_grad=True), torch.randn(edge_index.size(1), 1)
    across = (edge_index < 5).sum(0, keepdim=True).T == 1
    conv(x, edge_index, torch.cat([across.float(), logits], 1)).sum().backward()
    assert x.grad.abs().sum() > 0


def test_the_trap_closes(trap):
    with pytest.raises(AssertionError, match="segment_csr"):
        segment(torch.randn(3, 2), torch.tensor([0, 1, 3]))
