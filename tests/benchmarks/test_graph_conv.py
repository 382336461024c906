import csv

import graph_conv as benchmark
import pytest
import torch

pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")


@pytest.fixture(autouse=True)
def _same_threads():
    num_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(num_threads)


def test_tiny_grid(tmp_path, capsys):
    sizes = ["--lengths", "4", "6", "--scales", "1", "3", "--batch-sizes", "1", "2", "--channels", "8"]
    of_parts = ["--part-lengths", "6", "--part-batch-sizes", "2", "--part-channels", "8"]
    common = ["--repeats", "2", "--output", str(tmp_path / "new")]
    benchmark.main([*sizes, *of_parts, *common])
    page = (tmp_path / "new" / "graph_conv.md").read_text()
    assert page in capsys.readouterr().out
    with (tmp_path / "new" / "graph_conv.csv").open() as file:
        every = list(csv.DictReader(file))
    rows = [row for row in every if row["part"] == "sums"]
    # 2 lengths x 2 batch sizes x (2 scales alone in 4 ways + both together in 5)
    assert len(rows) == 2 * 2 * (2 * 4 + 5)
    for row in rows:
        assert float(row["median_ms"]) >= float(row["fastest_ms"]) > 0
        # sums and gradient are allocated by every way, 4 bytes a number
        least = (
            4 * 8 * 2 * int(row["num_steps"]) * int(row["batch_size"]) * (1 + len(row["scales"].split("+")))
        )
        assert float(row["peak_mib"]) * 2**20 >= 0.99 * least
    dense = [row for row in rows if row["way"] == "dense"]
    assert {row["times_faster"] for row in dense} == {"1"}
    # The first convolution has a dense form beside the closed one.
    assert [row["part"] for row in every[len(rows) :]] == sorted(
        [*benchmark.PARTS] * 2 + ["paper, conv"], key=[*benchmark.PARTS].index
    )
    assert all(f"\n| {part} | 6 |" in page for part in benchmark.PARTS)
    assert page.count("\n| 4 |") + page.count("\n| 6 |") == 2 * 2 * 3
    assert (tmp_path / "new" / "graph_conv.png").read_bytes().startswith(b"\x89PNG")


def test_what_takes_too_much_is_left_out(monkeypatch):
    monkeypatch.setattr(benchmark, "MAX_MESSAGES", 10)
    monkeypatch.setattr(benchmark, "MAX_EDGES", 10)
    assert set(benchmark.aggregations(4, (1,), 1, 8)) == {"closed form", "dense"}


def test_wrong_sums_are_noticed(monkeypatch):
    def off_by_a_little(x, num_query, num_proposal, scales):
        return [1.0001 * x for _ in scales]

    monkeypatch.setattr(benchmark, "multi_scale_sums", off_by_a_little)
    x = torch.randn(1, 8, 8, requires_grad=True)
    with pytest.raises(RuntimeError, match="closed form differs from dense"):
        benchmark.measure("sums", benchmark.aggregations(4, (1,), 1, 8), 4, (1,), x, 1)


def test_block_csr():
    matrix = torch.tensor([[1.0, 0.0], [2.0, 3.0]])
    torch.testing.assert_close(benchmark.block_csr(matrix, 3).to_dense(), torch.block_diag(*[matrix] * 3))
