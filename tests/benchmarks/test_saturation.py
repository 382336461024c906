import saturation as benchmark


def test_sums_over_neighbours_saturate_tanh_and_smaller_initial_weights_do_not():
    """Of 16 seeds the least shares of the literal network are .30 and .63; scaled, the greatest is 0."""
    graphs = benchmark.eight_pairs()
    for seed in range(3):
        first, second = benchmark.judge(benchmark.network(seed, scaled=False), graphs)[1]
        assert first > 0.2
        assert second > 0.4
        assert max(benchmark.judge(benchmark.network(seed, scaled=True), graphs)[1]) < 0.05


def test_tiny_run(capsys):
    benchmark.main(seeds=1, steps=20)
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 + 2 * 3
    assert all(row.count("|") == 7 for row in rows)
    assert rows[2].startswith("| literal | 0.0001 | ")
