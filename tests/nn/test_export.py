"""The whole network in the formats that other programs run."""

import onnxruntime
import pytest
import torch
from torch import nn

from tests.nn.small_models import assert_relevance_close, make_model
from vreloc_pyg.nn import Relevance

PAPER = {"in_channels": 5}
MATCHING = {
    "in_channels": 5,
    "conv": "match",
    "heads": ("rigid", "path"),
    "input_norm": True,
    "residual": True,
    "pair_features": True,
    "pool": "separate",
}


class Clips(nn.Module):
    """A network as a function of tensors."""

    def __init__(self, settings):
        super().__init__()
        self.model = make_model(**settings)

    def forward(self, query, proposal, pair_features=None, logits=None):
        return self.model.score_clips(query, proposal, None, pair_features, logits)


@pytest.fixture(params=[PAPER, {**PAPER, "weight": "row"}, MATCHING], ids=["paper", "row", "matching"])
def network_and_tensors(request):
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(3, count, 5, generator=generator) for count in (8, 12)]
    if request.param is MATCHING:
        tensors += [torch.randn(3, 7, generator=generator), torch.randn(3, 2, 8, 12, generator=generator)]
    return Clips(request.param), tuple(tensors)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiles_without_a_break(network_and_tensors):
    network, tensors = network_and_tensors
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    with torch._dynamo.config.patch(allow_rnn=True):
        assert_relevance_close(compiled(*tensors), network(*tensors))


@pytest.mark.filterwarnings("ignore")
def test_is_exported(network_and_tensors):
    network, tensors = network_and_tensors
    exported = torch.export.export(network, tensors).module()
    assert_relevance_close(exported(*tensors), network(*tensors))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_is_exported_to_onnx(network_and_tensors, tmp_path):
    """Sums over windows were once wrong there: the exporter dropped the divisor of an average pooling."""
    network, tensors = network_and_tensors
    torch.onnx.export(network, tensors, dynamo=True, verbose=False).save(str(tmp_path / "network.onnx"))
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    names = [each.name for each in session.get_inputs()]
    found = session.run(None, dict(zip(names, (tensor.numpy() for tensor in tensors), strict=True)))
    assert_relevance_close(Relevance(*map(torch.from_numpy, found)), network(*tensors))
