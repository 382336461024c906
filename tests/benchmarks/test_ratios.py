import pytest
import ratios as benchmark
import torch


@pytest.fixture(autouse=True)
def _same_threads():
    num_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(num_threads)


@pytest.mark.parametrize(("now", "failed"), [(1.0, 0), (0.81, 0), (0.79, 1), (5.0, 0)])
def test_a_ratio_may_lose_a_fifth(tmp_path, monkeypatch, capsys, now, failed):
    monkeypatch.setattr(benchmark, "measure", lambda rounds: {"sums, T = 40": now, "new": 1.0})
    committed = tmp_path / "ratios.csv"
    committed.write_text('what,ratio\n"sums, T = 40",1.0\n')
    assert benchmark.main(["--check", str(committed)]) == failed
    assert ("sums, T = 40: 0.79, committed 1" in capsys.readouterr().err) == bool(failed)


def test_a_ratio_that_is_no_longer_measured_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "measure", lambda rounds: {})
    committed = tmp_path / "ratios.csv"
    committed.write_text("what,ratio\ngone,1.0\n")
    assert benchmark.main(["--check", str(committed)]) == 1


def test_what_is_written_can_be_checked(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "GRAPHS", ((4, 2),))
    monkeypatch.setattr(benchmark, "CHANNELS", 8)
    monkeypatch.setattr(benchmark, "ranking", lambda rounds: {"a, b": (1.0, 2.0, 3.0)})
    written = tmp_path / "ratios.csv"
    assert benchmark.main(["--rounds", "1", "--output", str(written)]) == 0
    monkeypatch.setattr(benchmark, "measure", lambda rounds: {"a, b, of a thousand products": 500.0})
    assert benchmark.main(["--check", str(written)]) == 1  # the sums are gone
