import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.errors import DataError
from vreloc_pyg.proposals.lists import (
    VideoProposals,
    read_proposal_list,
    read_thumos_list,
    write_proposal_list,
)

NORMALIZED = """# 1
first
1
1
2
58 0.1000 0.5000
7 0.6000 0.9000
3
58 0.5000 1.0000 0.2000 0.4000
7 0.7500 0.7500 0.6000 1.0000
0 0.0000 0.0000 0.9500 1.0000
# 2
/some/folder/second/
1
1
0
0
"""


def write(tmp_path, text, name="list.txt", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("# ", "\n# "),
        lambda text: text.replace("1\n1\n", "1.0\n 1.0 \n"),
        lambda text: text.rstrip("\n"),
    ],
)
def test_a_normalised_list(tmp_path, change):
    videos = read_proposal_list(write(tmp_path, change(NORMALIZED)))
    assert list(videos) == ["first", "second"]
    first = videos["first"]
    assert (first.num_frames, first.frame_rate) == (1, 1)
    assert first.bounds.tolist() == [[0.2, 0.4], [0.6, 1.0], [0.95, 1.0]]
    assert first.labels == ("58", "7")
    assert first.matches.tolist() == [[0.5, 1.0], [0.75, 0.75], [0.0, 0.0]]
    torch.testing.assert_close(first.seconds(50.0), first.bounds * 50)
    assert videos["second"].bounds.shape == (0, 2)
    with pytest.raises(DataError, match="'first' are shares of a duration that is not known"):
        first.seconds()
    again = write_proposal_list(tmp_path / "again.txt", videos.values())  # numeric labels are kept
    assert again.read_text() == NORMALIZED.replace("/some/folder/second/", "second")


def test_instances_of_no_length_are_counted_apart(tmp_path):
    text = NORMALIZED.replace("2\n58 0.1000 0.5000\n", "3\n58 0.1000 0.5000\n58 0.3000 0.3000\n", 1)
    first = read_proposal_list(write(tmp_path, text))["first"]
    assert (len(first.instances), len(first.labels), first.num_empty) == (2, 2, 1)


def test_matches_are_the_best_instance_and_its_share_of_the_proposal(tmp_path):
    """tIoU of [.2, .4] and [.1, .5] is a half, all of it covered; of [.6, 1] and [.6, .9] it is .3 / .4."""
    first = read_proposal_list(write(tmp_path, NORMALIZED))["first"]
    matches, owners = first.computed_matches()
    torch.testing.assert_close(matches, first.matches)
    assert owners.tolist() == [0, 1, -1]
    nothing, nobody = VideoProposals("v", torch.tensor([[0.0, 1.0]])).computed_matches()
    assert (nothing.tolist(), nobody.tolist()) == ([[0.0, 0.0]], [-1])


def test_a_list_in_frames(tmp_path):
    text = NORMALIZED.replace("first\n1\n1", "first\n500\n25").replace("0.2000 0.4000", "100 200")
    first = read_proposal_list(write(tmp_path, text))["first"]
    assert first.seconds()[0].tolist() == [4.0, 8.0]


@pytest.mark.parametrize("line", range(1, len(NORMALIZED.splitlines())))
def test_a_list_cut_in_the_middle_is_refused_with_its_last_line(tmp_path, line):
    path = write(tmp_path, "\n".join(NORMALIZED.splitlines()[:line]) + "\n")
    if line == 11:  # the first video is whole
        assert list(read_proposal_list(path)) == ["first"]
        return
    with pytest.raises(DataError, match=rf"list.txt, line {line}: the list is cut off, expected"):
        read_proposal_list(path)


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        ("# 1", "1", 1, "expected # and a number"),
        ("58 0.1000 0.5000", "58 0.1000", 6, "expected an instance: label start end"),
        ("58 0.1000 0.5000", "run 0.1000 0.5000", 6, "expected an instance"),
        ("58 0.1000 0.5000", "58 0.5000 0.1000", 6, None),
        ("0.2000 0.4000", "0.4000 0.2000", 9, "empty, reversed or negative"),
        ("0.2000 0.4000", "-0.2000 0.4000", 9, "empty, reversed or negative"),
        ("0.2000 0.4000", "0.2000 nan", 9, "expected a proposal"),
        ("0.2000 0.4000", "0.2000 inf", 9, "expected a proposal"),
        ("0.2000 0.4000", "0.2000", 9, "expected a proposal: label iou overlap start end"),
        ("2\n58", "-2\n58", 5, "expected a number of instances"),
        ("2\n58", "1.5\n58", 5, "expected a number of instances"),
        ("first\n1", "first\n0", 3, "positive frames"),
        ("/some/folder/second/", "first", 13, "'first' is there twice"),
    ],
)
def test_bad_lines_are_named(tmp_path, old, new, line, problem):
    assert NORMALIZED.count(old) == 1
    path = write(tmp_path, NORMALIZED.replace(old, new))
    if problem is None:  # an instance that is empty or reversed in a released list can match nothing
        assert read_proposal_list(path)["first"].labels == ("7",)
        return
    with pytest.raises(DataError, match=rf"list.txt, line {line}: .*{problem}"):
        read_proposal_list(path)


@pytest.mark.parametrize("reader", [read_proposal_list, read_thumos_list])
def test_files_that_cannot_be_read(tmp_path, reader):
    with pytest.raises(DataError, match="Cannot read"):
        reader(tmp_path / "nowhere.txt")
    with pytest.raises(DataError, match="Cannot read"):
        reader(write(tmp_path, "é", "latin.txt", "latin-1"))
    with pytest.raises(DataError, match="is empty"):
        reader(write(tmp_path, "\n\n", "empty.txt"))


segments = st.tuples(st.integers(0, 900), st.integers(1, 99)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(st.lists(segments, max_size=6), st.lists(segments, max_size=4))
def test_what_is_written_is_read_again(tmp_path_factory, bounds, instances):
    def share(spans):
        return torch.tensor(spans, dtype=torch.float64).reshape(-1, 2) / 1000

    labels = tuple(["jump", "run"][i % 2] for i in range(len(instances)))
    video = VideoProposals("v", share(bounds), instances=share(instances), labels=labels)
    path = write_proposal_list(tmp_path_factory.mktemp("lists") / "deep" / "list.txt", [video])
    again = read_proposal_list(path)["v"]
    torch.testing.assert_close(again.bounds, video.bounds)
    torch.testing.assert_close(again.instances, video.instances)
    assert len(again.labels) == len(labels)
    torch.testing.assert_close(again.matches, video.computed_matches()[0], atol=1e-4, rtol=0)


def test_thumos_lists(tmp_path):
    path = write(tmp_path, "b 10 40\na 5 20 0.9\n\nb 0 5\na 7 7\n")
    videos = read_thumos_list(path, {"a": 10.0, "b": 20.0})
    assert videos["b"].bounds.tolist() == [[10.0, 40.0], [0.0, 5.0]]
    assert videos["b"].seconds().tolist() == [[0.5, 2.0], [0.0, 0.25]]
    assert videos["a"].seconds().tolist() == [[0.5, 2.0]]  # of no length: left out
    assert read_thumos_list(path)["a"].seconds().tolist() == [[5.0, 20.0]]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a 5 20\na 5\n", "line 2: expected video start end"),
        ("a 5 x\n", "line 1: expected video start end"),
        ("a 20 5\n", "line 1: the segment .* reversed"),
        ("a -1 5\n", "line 1: the segment"),
        ("c 1 5\n", "1 videos have no frame rate, first 'c'"),
    ],
)
def test_bad_thumos_lists(tmp_path, text, problem):
    with pytest.raises(DataError, match=problem):
        read_thumos_list(write(tmp_path, text), {"a": 10.0})


def test_the_released_list_agrees_with_its_own_matches(data_root):
    """Its matches were not computed from the rounded bounds it prints, so few agree to the last digit."""
    videos = read_proposal_list(data_root / "tag/activitynet1.2_tag_val_normalized_proposal_list.part.txt")
    assert len(videos) == 600
    gaps, labels = [], []
    for video in videos.values():
        matches, owners = video.computed_matches()
        gaps.append((matches - video.matches).abs())
        labels += [(owner >= 0) == (iou > 0) for owner, iou in zip(owners, video.matches[:, 0], strict=True)]
    gaps = torch.cat(gaps)
    assert len(gaps) == 28_874
    assert torch.quantile(gaps, 0.5, dim=0).max() < 1e-4
    assert torch.quantile(gaps, 0.95, dim=0).max() < 2e-3
    assert np.mean(labels) > 0.999
