"""What the benchmark of single frames composes and how it judges."""

from itertools import pairwise

import look
import numpy as np
import pytest
import torch

from vreloc_pyg.video.extractor import VideoExtractor


def clip(level: int, length: int) -> np.ndarray:
    return np.full((length, 2, 2, 3), level, dtype=np.uint8)


@pytest.mark.parametrize("fade", [0, 4])
def test_clips_lie_where_it_is_said(fade):
    joined, bounds = look.join([clip(0, 25), clip(100, 50), clip(200, 25)], fade)
    assert len(joined) == 100 - 2 * fade
    assert bounds[0][0] == 0
    assert bounds[-1][1] == len(joined) / look.RATE
    for (_, end), (start, _) in pairwise(bounds):
        assert start == end
    for level, (start, end) in zip((0, 100, 200), bounds, strict=True):
        middle = joined[round(start * look.RATE + fade / 2) : round(end * look.RATE - fade / 2)]
        assert (middle == level).all()
        assert len(middle) > 20 - fade


class Levels(VideoExtractor):
    name, dim, frames_per_step = "levels", 1, 1
    darkest = 0.0

    def __init__(self) -> None:
        super().__init__(5.0, 2, 2, 4, 0)

    def _compute(self, frames):
        return frames.float().mean((1, 2, 3))[:, None]


def test_an_extractor_sees_the_frames_that_it_would_take_of_a_video():
    frames = np.concatenate([clip(level, 1) for level in range(25)])
    assert look.features(Levels(), frames)[:, 0].tolist() == [2, 7, 12, 17, 22]


def test_ten_lines_find_the_window_with_the_nearest_mean():
    query, reference = torch.tensor([[1.0, 0.1]] * 3), torch.randn(20, 2)
    reference[:, 0] = -1
    reference[8:11] = torch.tensor([2.0, 0.2])
    assert look.ten_lines(query, reference, 0.2) == (8, 11)
    assert look.ten_lines(torch.randn(30, 2), reference, 0.2) == (0, 20)


def test_every_action_is_asked_both_ways_without_itself_among_the_others():
    names = ["a_1", "a_2", "b_b_1", "b_b_2", "other_1x", "other_y", "other_z"]
    asked = list(look.questions(names))
    assert [one.query for one in asked] == [name for name in names[:4] for _ in range(2)]
    assert [one.fade for one in asked] == [0, look.FADE] * 4
    for one in asked:
        action = one.query.rpartition("_")[0]
        assert [part for part in one.parts if part.rpartition("_")[0] == action] == [one.answer]
        assert one.answer != one.query
        assert len(set(one.parts)) == len(one.parts) in (4, 5)
    assert asked == list(look.questions(names))
