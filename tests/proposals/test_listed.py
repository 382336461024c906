import pytest
import torch

from tests.proposals import conftest
from vreloc_pyg.errors import CheckpointError, DataError
from vreloc_pyg.nn.actionness_classifier import ActionnessClassifier, ActionnessSettings
from vreloc_pyg.proposals.actionness_proposals import ActionnessProposals
from vreloc_pyg.proposals.listed import ListedProposals, load_proposals
from vreloc_pyg.proposals.lists import VideoProposals


def video(num_steps=20, video_id="a", **options):
    return conftest.video(num_steps, 2, video_id=video_id, **options)


def listed(bounds, **options):
    found = VideoProposals("a", torch.tensor(bounds, dtype=torch.float64))
    return ListedProposals({"a": found}, **options)


def test_shares_of_a_whole_video_and_frames_become_steps():
    source = listed([[0.5, 1.0], [0.0, 0.24], [0.26, 0.27]])
    expected = [[10, 20], [0, 5], [5, 6]]
    assert source.propose(video()).tolist() == expected
    assert source.propose(video(sources=("anna",))).tolist() == expected  # whole, whoever is in it
    found = VideoProposals("a", torch.tensor([[25.0, 100.0]]).double(), 250, 25.0)
    assert ListedProposals({"v_a": found}).propose(video()).tolist() == [[2, 8]]


def test_near_copies_become_one_and_the_order_stays():
    source = listed([[0.5, 1.0], [0.0, 0.5], [0.501, 0.999], [0.0, 1.0]])
    assert source.propose(video()).tolist() == [[10, 20], [0, 10], [0, 20]]


def test_a_part_of_a_video_gets_what_lies_in_it():
    """The part is seconds 5 to 10 of 20: steps are counted from its own start."""
    part = video(10, "a/1", sources=("a", "anna"), offset_s=5.0, cut_from="a")
    source = listed([[0.3, 0.4], [0.0, 0.1], [0.2, 0.3], [0.45, 0.9], [0.6, 0.7]], durations_s={"a": 20.0})
    assert source.propose(part).tolist() == [[2, 6], [0, 2], [8, 10]]
    with pytest.raises(DataError, match="duration that is not known"):
        listed([[0.3, 0.4]]).propose(part)
    # Nothing left is the whole video.
    assert listed([[0.9, 1.0]], durations_s={"a": 20.0}).propose(part).tolist() == [[0, 10]]
    empty = ListedProposals({"a": VideoProposals("a", torch.empty(0, 2).double())})
    assert empty.propose(video()).tolist() == [[0, 20]]


def test_the_fingerprint_is_of_the_content_and_other_videos_are_refused():
    one = listed([[0.0, 1.0]])
    with pytest.raises(DataError, match="has no video 'b'"):
        one.propose(video(video_id="b"))
    assert one.fingerprint() == listed([[0.0, 1.0]]).fingerprint()
    others = [listed([[0.0, 0.9]]), listed([[0.0, 1.0]], durations_s={"a": 3.0})]
    assert len({source.fingerprint() for source in [one, *others]}) == 3


def test_what_is_at_a_path_is_told_by_looking(tmp_path):
    (tmp_path / "ssn.txt").write_text("\n# 1\na\n1\n1\n0\n1\n0 0 0 0.5 1.0\n")
    assert load_proposals(tmp_path / "ssn.txt").propose(video()).tolist() == [[10, 20]]
    (tmp_path / "thumos.txt").write_text("a 50 100\n")
    assert load_proposals(tmp_path / "thumos.txt", {}, {"a": 25.0}).propose(video()).tolist() == [[4, 8]]
    assert load_proposals(tmp_path / "thumos.txt", {}, 10.0).propose(video()).tolist() == [[10, 20]]
    saved = ActionnessProposals(ActionnessClassifier(ActionnessSettings(2, 4)))
    saved.save_pretrained(tmp_path / "model")
    assert load_proposals(tmp_path / "model").fingerprint() == saved.fingerprint()
    with pytest.raises(DataError, match="Cannot read"):
        load_proposals(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="Cannot read the model settings"):
        load_proposals(tmp_path / "empty")
