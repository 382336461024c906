"""A moment of a video, and files of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vreloc_pyg.errors import DataError
from vreloc_pyg.moments import Moment, load_moments, save_moments

moments = st.builds(
    lambda start, length, score, verdict: Moment("a b.mp4", start, start + length, score, verdict, "jump"),
    st.floats(0, 1e5),
    st.floats(0.01, 1e4),
    st.floats(-1e6, 1e6),
    st.sampled_from(["sure", "maybe", "not found", None]),
)


@given(st.lists(moments, max_size=4))
def test_a_file_gives_back_its_moments(tmp_path_factory, given_moments):
    path = tmp_path_factory.mktemp("moments") / "found.json"
    save_moments(path, given_moments, {"query": "q.mp4"})
    assert load_moments(path) == given_moments


@pytest.mark.parametrize(
    ("start", "end", "score", "verdict"),
    [(1, 1, 0, None), (2, 1, 0, None), (-1, 1, 0, None), (0, float("inf"), 0, None), (0, 1, 0, "perhaps")],
)
def test_no_moment_is_empty_or_of_an_unknown_verdict(start, end, score, verdict):
    with pytest.raises(DataError, match="Expected a"):
        Moment("v.mp4", start, end, score, verdict)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "no list"),
        ('{"moments": [{"video": "v", "start_s": 1, "end_s": 2}]}', "moment 1"),
        ('{"moments": [{"video": "v", "start_s": 3, "end_s": 2, "score": 0}]}', "moment 1"),
        ('{"moments": [7]}', "moment 1"),
        ('{"moments": [{"video": 7, "start_s": 1, "end_s": 2, "score": 0}]}', "moment 1: expected text"),
        ('{"moments": [{"video": "v", "start_s": "1", "end_s": 2, "score": 0}]}', "moment 1"),
    ],
)
def test_a_wrong_file_is_named_with_the_wrong_moment(tmp_path, text, said):
    path = tmp_path / "found.json"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        load_moments(path)
