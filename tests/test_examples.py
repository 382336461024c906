"""Every example, and every command of the README's code blocks, runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*arguments: str, folder: Path) -> str:
    finished = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=280
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
    assert "| MGFFNet |" in output
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


def test_readme_commands_exist() -> None:
    from vreloc_pyg.cli import make_parser

    commands = [line for block in readme_blocks("sh") for line in block.splitlines() if line[:7] == "vreloc "]
    assert len(commands) >= 4
    for line in commands:
        words = line.split("#")[0].replace("...", "").split()[1:]
        parsed = make_parser().parse_args(words)
        assert parsed.subcommand == words[0]
    targets = re.findall(r"^(\w+): ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    made = [
        line.split()[1] for block in readme_blocks("sh") for line in block.splitlines() if line[:5] == "make "
    ]
    assert made == ["demo", "test", "weights"]
    assert set(made) <= set(targets)


def test_readme_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from vreloc_pyg import MGFFNet
    from vreloc_pyg.datasets import Query, Reference
    from vreloc_pyg.graphs import Pairing
    from vreloc_pyg.localization import Localizer

    first, second = readme_blocks("python")
    known = {"query": torch.randn(12, 64), "proposal": torch.randn(20, 64)}
    exec(first, known)
    assert known["score"].shape == (1,)
    assert known["offsets"].shape == (1, 2)

    monkeypatch.chdir(tmp_path)
    Localizer(MGFFNet(in_channels=4, hidden_channels=4), Pairing()).save_pretrained("outputs/demo/model")
    known = {
        "query": Query(torch.randn(12, 4), 0.5, "", "a"),
        "reference": Reference(torch.randn(60, 4), 0.5, torch.empty(0, 2), (), "b"),
    }
    exec(second, known)
    assert known["end_s"] > known["start_s"]


def test_readme_links_exist() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert len(links) > 10
    missing = [link for link in links if not (ROOT / link).exists()]
    assert missing == []
