import torch

from vreloc_pyg.datasets import Reference
from vreloc_pyg.proposals.pools import SSNPools
from vreloc_pyg.proposals.sliding_window import SlidingWindows
from vreloc_pyg.segments import temporal_iou

WINDOWS = SlidingWindows(shortest=4, longest=40)
TRUTH = torch.tensor([[20.0, 40.0]], dtype=torch.float64)


def video(video_id="v"):
    return Reference(torch.zeros(200, 2), 1.0, torch.empty(0, 2), (), video_id)


def test_the_pools_are_drawn_one_to_one_to_six():
    windows = SSNPools(WINDOWS, {"v": TRUTH}, size=16).propose(video())
    everything = {tuple(window) for window in WINDOWS(200).tolist()}
    assert {tuple(window) for window in windows.tolist()} <= everything
    overlap = temporal_iou(windows.double(), TRUTH).flatten()
    inside = (windows[:, 0] >= 20) & (windows[:, 1] <= 40)
    foreground, background = overlap > 0.7, overlap < 0.01
    incomplete = (overlap < 0.3) & ~background
    assert [int(pool.sum()) for pool in (foreground, incomplete, background)] == [2, 2, 12]
    assert inside[incomplete].any()
    assert len(windows) == 16


def test_the_draw_is_a_function_of_seed_and_video():
    def draw(seed, video_id):
        answers = {"v": TRUTH, "w": TRUTH}
        return SSNPools(WINDOWS, answers, size=32, seed=seed).propose(video(video_id)).tolist()

    assert draw(0, "v") == draw(0, "v")
    assert draw(0, "v") != draw(1, "v")
    assert draw(0, "v") != draw(0, "w")


def test_without_answers_nothing_is_left_out():
    for answers in ({}, {"v": torch.empty(0, 2)}):
        assert torch.equal(SSNPools(WINDOWS, answers).propose(video()), WINDOWS(200))


def test_small_pools_give_all_they_have():
    wide = SlidingWindows(shortest=200, longest=200)
    truth = torch.tensor([[0.0, 100.0]]).double()
    # The only window has tIoU .5: it is in no pool, and is kept.
    assert SSNPools(wide, {"v": truth}).propose(video()).tolist() == [[0, 200]]
    assert SSNPools(wide, {"v": torch.tensor([[0.0, 190.0]])}).propose(video()).tolist() == [[0, 200]]
    assert "pools 64 0 of SlidingWindows" in SSNPools(wide, {}).fingerprint()
