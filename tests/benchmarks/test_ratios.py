import time

import pytest
import ratios as benchmark
import torch

HEADER = "what,ratio,least\n"


@pytest.fixture(autouse=True)
def _same_threads():
    num_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture
def committed(tmp_path):
    path = tmp_path / "ratios.csv"
    path.write_text(HEADER + '"sums, T = 40",1.0,0.9\n')
    return path


def found(monkeypatch, *values):
    """Measurements that give these, one after the other."""
    left = list(values)
    monkeypatch.setattr(benchmark, "measurements", lambda rounds: {"sums, T = 40": lambda: left.pop(0)})
    return left


@pytest.mark.parametrize("now", [1.0, 0.81, 5.0])
def test_a_ratio_may_lose_a_fifth(committed, monkeypatch, now):
    found(monkeypatch, now)
    assert benchmark.main(["--check", str(committed)]) == 0


def test_what_stays_low_has_fallen_and_what_recovers_has_not(committed, monkeypatch, capsys):
    left = found(monkeypatch, 0.7, 0.79, 0.6, 0.78)
    assert benchmark.main(["--check", str(committed)]) == 1
    assert left == []
    assert "0.7, 0.79, 0.6, 0.78; committed 1, at least 0.8" in capsys.readouterr().out
    left = found(monkeypatch, 0.7, 0.85, 0.1)
    assert benchmark.main(["--check", str(committed)]) == 0
    assert left == [0.1]


def test_as_low_as_a_committed_run_is_no_fall(committed, monkeypatch):
    committed.write_text(HEADER + '"sums, T = 40",1.0,0.7\n')
    found(monkeypatch, 0.71)
    assert benchmark.main(["--check", str(committed)]) == 0


def test_a_ratio_that_is_no_longer_measured_fails(committed, monkeypatch):
    monkeypatch.setattr(benchmark, "measurements", lambda rounds: {})
    assert benchmark.main(["--check", str(committed)]) == 1


def test_what_is_written_is_the_median_beside_the_least_and_can_be_checked(tmp_path, monkeypatch):
    found(monkeypatch, 3.0, 1.0, 2.5)
    written = tmp_path / "written.csv"
    assert benchmark.main(["--runs", "3", "--output", str(written)]) == 0
    assert written.read_text() == HEADER + '"sums, T = 40",2.5,1\n'
    found(monkeypatch, 0.9, 0.9, 0.9, 0.9)
    assert benchmark.main(["--check", str(written)]) == 1


def burn(milliseconds):
    ends = time.process_time() + 1e-3 * milliseconds
    while time.process_time() < ends:
        pass


def test_turns_tell_processor_time(monkeypatch):
    monkeypatch.setattr(benchmark, "LEAST_S", 0)
    turns = benchmark.in_turns(lambda: burn(1), lambda: (burn(2), time.sleep(0.01)), rounds=5)
    assert len(turns) == 5
    assert sorted(other / one for one, other in turns)[2] == pytest.approx(2, rel=0.2)


def test_every_measurement_measures(monkeypatch):
    monkeypatch.setattr(benchmark, "LEAST_S", 0)
    monkeypatch.setattr(benchmark, "GRAPHS", ((4, 2),))
    monkeypatch.setattr(benchmark, "CHANNELS", 8)
    monkeypatch.setattr(benchmark, "SYSTEMS", ("mgffnet",))
    monkeypatch.setattr(benchmark, "RANKED", (("small", 9, 30, *benchmark.RANKED[0][3:]),))
    known = benchmark.measurements(1)
    assert [*known] == [
        "sums, T = 4, B = 2, over dense",
        "mgffnet on small, 30 windows, of a thousand products",
    ]
    assert all(measure() > 0 for measure in known.values())
