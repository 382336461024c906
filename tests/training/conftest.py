import pytest
import torch


@pytest.fixture(autouse=True)
def same_algorithms():
    """The trainer asks torch for deterministic algorithms; other tests keep what they had."""
    mode = torch.get_deterministic_debug_mode()
    yield
    torch.set_deterministic_debug_mode(mode)
