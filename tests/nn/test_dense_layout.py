"""Pairs of any lengths as one dense tensor."""

import pytest
import torch
from torch_geometric.data import Batch

from vreloc_pyg import pair_data
from vreloc_pyg.nn.dense_layout import DenseLayout


@pytest.mark.parametrize("lengths", [[(3, 4), (3, 4)], [(3, 4), (2, 5), (1, 1)]])
def test_edges_of_every_pair_stand_where_its_steps_do(lengths):
    layout = DenseLayout(
        Batch.from_data_list([pair_data(torch.ones(a, 2), torch.ones(b, 2)) for a, b in lengths])
    )
    own = [torch.rand(a, b, 2) for a, b in lengths]
    dense = layout.to_dense_edges(torch.cat([one.flatten(0, 1) for one in own]))
    assert dense.shape == (len(lengths), 2, max(a for a, _ in lengths), max(b for _, b in lengths))
    for found, one in zip(dense, own, strict=True):
        assert torch.equal(found[:, : one.size(0), : one.size(1)], one.permute(2, 0, 1))
        assert found.count_nonzero() == one.numel()  # zeros behind short clips
