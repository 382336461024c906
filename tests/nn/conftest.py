import pytest
import torch
from torch import nn

from vreloc_pyg.nn import MGFFNet


def make_model(**settings):
    """A small model in eval mode, with weights so large that its scores differ."""
    defaults = {"in_channels": 5, "hidden_channels": 6, "head_channels": (7, 4), "scales": (1, 3)}
    model = MGFFNet(**{**defaults, **settings})
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 2
    return model.eval()


@pytest.fixture(name="make_model")
def make_model_fixture():
    return make_model


def assert_relevance_close(result, expected, tolerance=1e-5):
    torch.testing.assert_close(result.score, expected.score, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(result.offsets, expected.offsets, rtol=tolerance, atol=tolerance)


@pytest.fixture(name="assert_relevance_close")
def assert_relevance_close_fixture():
    return assert_relevance_close
