"""What heads read of pairs: some of them, and without gradients."""

import pytest
import torch

from vreloc_pyg.nn.relevance import Pooled


def pooled(**parts):
    return Pooled(torch.randn(4, 3, requires_grad=True), **parts)


@pytest.mark.parametrize("chosen", [torch.tensor([2, 0]), torch.tensor([True, False, True, False])])
def test_every_part_is_that_of_the_chosen_pairs(chosen):
    nodes, mask = torch.randn(4, 5, 2, requires_grad=True), torch.rand(4, 5) < 0.5
    some = pooled(nodes=nodes, mask=mask)
    found = some.rows(chosen)
    for part, whole in zip(found, some, strict=True):
        assert torch.equal(part, whole[chosen])
    assert pooled().rows(chosen)[1:] == (None, None)


def test_detached_parts_are_equal_and_lead_nowhere():
    nodes, mask = torch.randn(4, 5, 2, requires_grad=True), torch.rand(4, 5) < 0.5
    some = pooled(nodes=nodes, mask=mask)
    for part, whole in zip(some.detached(), some, strict=True):
        assert torch.equal(part, whole)
        assert not part.requires_grad
    assert pooled().detached()[1:] == (None, None)
