"""The blocks of docs/tutorial.md, run one after the other on the real recordings that they speak of."""

import shlex
from contextlib import redirect_stdout
from io import StringIO

import pytest
import torch

from tests.docs.pages import ROOT, blocks
from vreloc_pyg import cli

SHORT = ["--training.epochs=1", "--training.steps_per_epoch=2", "--training.validation_pairs=2"]


@pytest.mark.slow
def test_the_tutorial_runs_and_prints_what_it_shows(tmp_path, monkeypatch, capsys, data_root):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "UTKINECT").symlink_to(data_root / "utkinect")
    known, printed = {}, ""
    for language, text in blocks(ROOT / "docs/tutorial.md"):
        if language == "python":
            with redirect_stdout(StringIO()) as out:
                exec(text, known)
            printed = out.getvalue()
        elif language == "text":  # what the block before prints, from its start
            assert printed.startswith(text)
        else:
            for line in text.splitlines():
                _, name, *words = shlex.split(line)
                if name == "train":
                    assert cli.main([name, *words, *SHORT]) == 0, capsys.readouterr().err
    assert len(known["answers"]) == 3
    score = known["model"](known["graph"]).score
    torch.testing.assert_close(score, known["model"](known["plain"]).score)
