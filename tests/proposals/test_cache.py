import torch

from tests.proposals.conftest import video
from vreloc_pyg.proposals.cache import CachedProposals


class Counting:
    """Proposals that count how often they are made."""

    def __init__(self, name="a"):
        self.name, self.made = name, 0

    def propose(self, video):
        self.made += 1
        return torch.tensor([[0, video.num_steps], [1, 2]])

    def fingerprint(self):
        return self.name


def test_proposals_are_made_once(tmp_path):
    source = Counting()
    first = CachedProposals(source, tmp_path / "cache")
    again = CachedProposals(source, tmp_path / "cache")
    assert torch.equal(first.propose(video()), again.propose(video()))
    assert source.made == 1
    assert first.fingerprint() == "a"
    assert all(not path.name.startswith(".") for path in (tmp_path / "cache").iterdir())


def test_everything_that_makes_them_is_the_key(tmp_path):
    source = Counting()
    cached = CachedProposals(source, tmp_path)
    videos = [video(), video(seed=2), video(video_id="w"), video(offset_s=1.0), video(step_s=0.4)]
    for one in videos:
        cached.propose(one)
    assert source.made == len(videos)
    other = Counting("b")
    CachedProposals(other, tmp_path).propose(video())
    assert other.made == 1


def test_damaged_files_are_made_again(tmp_path):
    source = Counting()
    cached = CachedProposals(source, tmp_path)
    expected = cached.propose(video())
    (path,) = tmp_path.iterdir()
    for content in (b"", path.read_bytes()[:-3], b"nonsense"):
        path.write_bytes(content)
        assert torch.equal(cached.propose(video()), expected)
        assert torch.equal(cached.propose(video()), expected)
    assert source.made == 4
