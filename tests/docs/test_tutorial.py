"""The Python of docs/tutorial.md, run block after block on the real recordings that it speaks of."""

from contextlib import redirect_stdout
from io import StringIO

import pytest
import torch

from tests.docs.pages import ROOT, blocks
from vreloc_pyg.localization import Localizer
from vreloc_pyg.systems.mgffnet.presets import RECOMMENDED
from vreloc_pyg.systems.spec import Traits


@pytest.mark.slow
def test_the_tutorial_runs_and_prints_what_it_shows(tmp_path, monkeypatch, data_root):
    """Commands are read in `test_blocks.py`; in the place of what they train is an untrained model."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "UTKINECT").symlink_to(data_root / "utkinect")
    known, printed = {}, ""
    for language, text in blocks(ROOT / "docs/tutorial.md"):
        if language == "python":
            with redirect_stdout(StringIO()) as out:
                exec(text, known)
            printed = out.getvalue()
        elif language == "text":  # what the block before it prints, from its start
            assert printed.startswith(text)
        else:
            data = known["data"]
            model = RECOMMENDED.build(Traits.of(data))
            Localizer(RECOMMENDED, model, data.proposals).save_pretrained("outputs/tutorial/model")
    assert len(known["answers"]) == 3
    score = known["model"](known["graph"]).score
    torch.testing.assert_close(score, known["model"](known["plain"]).score)
