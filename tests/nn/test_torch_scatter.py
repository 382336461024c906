"""Below our networks PyG never reaches for torch-scatter, as docs/installing.md says."""

import pytest
import torch
import torch_geometric.typing
from torch_geometric.utils import _scatter, _segment, segment

from vreloc_pyg import MGFFNet, MultiScaleEdges, pair_data


class Trap:
    """In the place of torch_scatter."""

    def __getattr__(self, name):
        raise AssertionError(f"torch_scatter.{name} was called")


@pytest.fixture
def trap(monkeypatch):
    monkeypatch.setattr(torch_geometric.typing, "WITH_TORCH_SCATTER", True)
    for module in (_scatter, _segment):
        monkeypatch.setattr(module, "torch_scatter", Trap(), raising=False)


@pytest.mark.parametrize("conv", ["sum", "match"])
def test_networks_are_trained_without_it(trap, conv):
    model = MGFFNet(in_channels=6, hidden_channels=4, conv=conv)
    graph = MultiScaleEdges(model.settings.scales)(pair_data(torch.randn(5, 6), torch.randn(7, 6)))
    model(graph).score.sum().backward()
    assert all(torch.isfinite(one.grad).all() for one in model.parameters() if one.grad is not None)


def test_the_trap_closes(trap):
    with pytest.raises(AssertionError, match="segment_csr"):
        segment(torch.randn(3, 2), torch.tensor([0, 1, 3]))
