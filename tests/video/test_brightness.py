import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.video.brightness import DARKEST, MOST, brightened


@given(st.lists(st.integers(0, 255), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_a_dark_frame_is_multiplied_by_what_its_own_average_lacks(levels, seed):
    made = torch.Generator().manual_seed(seed)
    frames = torch.stack([(torch.rand(8, 8, 3, generator=made) * level).to(torch.uint8) for level in levels])
    for frame, shown in zip(frames, brightened(frames), strict=True):
        mean = frame[::4, ::4].double().mean().item()
        gain = 1 if mean >= DARKEST else min(DARKEST / max(mean, 1e-9), MOST)
        assert shown.dtype == torch.uint8
        assert (shown - (frame.double() * gain).clamp(max=255)).abs().max() < 0.51


def test_grey_comes_to_the_level_that_is_asked_for():
    frames = torch.full((3, 8, 8, 3), 30, dtype=torch.uint8)
    frames[1], frames[2] = 100, 1
    assert brightened(frames).float().mean((1, 2, 3)).tolist() == pytest.approx([DARKEST, 100, MOST], abs=0.5)
    assert brightened(frames, 120.0).float().mean((1, 2, 3)).tolist() == [120, 120, MOST]
    assert brightened(frames, 0.0) is frames
