import pytest

from vreloc_pyg.errors import DataError
from vreloc_pyg.library.inputs import find_videos


def test_a_list_that_names_lists_is_refused(tmp_path):
    """It may name itself, or ten that name ten each."""
    (tmp_path / "a.mp4").touch()
    chosen = tmp_path / "chosen.txt"
    chosen.write_text("a.mp4\n# a.avi\n.\n")
    assert find_videos([chosen]) == [tmp_path / "a.mp4"]
    chosen.write_text("a.mp4\nchosen.txt\n")
    with pytest.raises(DataError, match="lists name no lists"):
        find_videos([chosen])
