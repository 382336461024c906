import json
from pathlib import Path

import pytest

from vreloc_pyg.errors import DataError
from vreloc_pyg.files import parse_json, write_json, write_text


def test_text_is_written_into_new_folders_and_over_old_files(tmp_path):
    path = tmp_path / "deep" / "er" / "a.txt"
    assert write_text(path, "one ±\n") == path
    assert path.read_text(encoding="utf-8") == "one ±\n"
    write_text(str(path), "two")
    assert path.read_text() == "two"
    assert [one.name for one in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("failing", ["write_text", "replace"])
def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch, failing):
    path = tmp_path / "a.txt"
    path.write_text("old")
    real = getattr(Path, failing)

    def fail(self, *arguments, **options):
        if failing == "write_text":
            real(self, "half", **options)
        raise OSError("disk full")

    monkeypatch.setattr(Path, failing, fail)
    with pytest.raises(OSError, match="disk full"):
        write_text(path, "new and long")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


def test_json_reads_back(tmp_path):
    values = {"a": [1, 2.5, None], "b": "ä"}
    path = write_json(tmp_path / "a.json", values)
    assert json.loads(path.read_text()) == values
    assert path.read_text().endswith("}\n")


def test_json_has_text_that_files_can_hold():
    assert parse_json(r'["\ud83d\ude00", {"\u00e9": "\\u0000"}]', "a") == [
        "\U0001f600",
        {"\u00e9": "\\u0000"},
    ]
    for text in (r'["a\u0000"]', r'{"a": [{"\ud800": 1}]}', r'"\udfff\ud800"'):
        with pytest.raises(DataError, match="with a character that no file can hold"):
            parse_json(text, "a")
