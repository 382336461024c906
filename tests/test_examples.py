"""Every example runs, and the README's Python; its commands are read in `tests/docs/test_blocks.py`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*arguments: str, folder: Path) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # other processes share the machine
    finished = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=280
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    return finished.stdout


def test_quickstart_prints_equal_scores_of_both_forms(tmp_path: Path) -> None:
    output = run(str(ROOT / "examples/quickstart.py"), folder=tmp_path)
    assert "edge_index_k1=[2, 3436], edge_index_k2=[2, 1988], edge_index_k3=[2, 1604]" in output
    passed, closed = (
        [float(number) for number in re.findall(r"-?\d\.\d+(?:e-?\d+)?", line.split("[")[1].split("]")[0])]
        for line in output.splitlines()[1:3]
    )
    assert len(passed) == 4
    assert passed == pytest.approx(closed, abs=1e-5)


@pytest.mark.slow
def test_train_synthetic_prints_a_table(tmp_path: Path) -> None:
    script = str(ROOT / "examples/train_synthetic.py")
    output = run(script, "--epochs", "1", "--steps-per-epoch", "3", folder=tmp_path)
    assert "| MGFFNet (recommended) |" in output
    assert (tmp_path / "outputs/train_synthetic/model/model.safetensors").stat().st_size > 0


@pytest.mark.slow
def test_train_penn_action_answers_a_query(tmp_path: Path, data_root: Path) -> None:
    script = str(ROOT / "examples/train_penn_action.py")
    penn = str(data_root / "penn_action")
    output = run(script, "--root", penn, "--epochs", "1", "--steps-per-epoch", "2", folder=tmp_path)
    assert "answers:" in output
    assert "| MGFFNet (recommended) |" in output


def readme_blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


def test_readme_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from vreloc_pyg.datasets import Query, Reference
    from vreloc_pyg.localization import Localizer
    from vreloc_pyg.systems.mgffnet.presets import RECOMMENDED
    from vreloc_pyg.systems.spec import Traits

    first, second = readme_blocks("python")
    known = {"query": torch.randn(12, 64), "proposal": torch.randn(20, 64)}
    exec(first, known)
    assert known["score"].shape == (1,)
    assert known["offsets"].shape == (1, 2)

    monkeypatch.chdir(tmp_path)
    Localizer(RECOMMENDED, RECOMMENDED.build(Traits(num_features=4))).save_pretrained("outputs/demo/model")
    known = {
        "query": Query(torch.randn(12, 4), 0.5, "", "a"),
        "reference": Reference(torch.randn(60, 4), 0.5, torch.empty(0, 2), (), "b"),
    }
    exec(second, known)
    assert len(known["segments"]) == 3


def test_readme_is_short_and_its_table_of_stages_is_import_linters() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 130
    table = text.partition("| stage of `vreloc_pyg` |")[2]
    rows = re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE)
    stages = [f"vreloc_pyg.{name}" for row in rows for name in re.findall(r"`(\w+)`", row)]
    layers = (ROOT / "pyproject.toml").read_text().partition("layers = [")[2].partition("]")[0]
    assert stages == re.findall(r'"([\w.]+)"', layers)
