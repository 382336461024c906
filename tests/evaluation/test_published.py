import pytest

from vreloc_pyg.evaluation import published_numbers


def row(system, source, data="ActivityNet"):
    table = published_numbers()
    found = table[
        (table["system"] == system) & table["source"].str.contains(source) & (table["data"] == data)
    ]
    assert len(found) == 1
    return found.iloc[0]


def test_every_row_names_its_source():
    table = published_numbers()
    assert table["source"].str.len().min() > 5
    assert not table.duplicated(["system", "data", "source"]).any()
    values = table.filter(like="R@1")
    assert values["R@1(0.5)"].notna().all()
    assert (values.isna() | ((values > 0) & (values < 100))).all(axis=None)


@pytest.mark.parametrize(
    ("system", "average"),
    [("chance", 7.3), ("frame-level", 9.9), ("video-level", 12.4), ("SST", 17.1), ("CGBM", 25.7)],
)
def test_averages_round_to_those_published(system, average):
    assert round(row(system, "Feng")["R@1 avg"], 1) == average


def test_the_papers_own_curve_is_kept_as_printed_although_it_rises():
    own = row("MGFFNet", "Zhou")
    assert own["R@1(0.7)"] == 49.30 > own["R@1(0.6)"] == 49.05
    assert own["R@1(0.95)"] == 9.92


def test_what_was_not_published_is_empty():
    assert row("chance", "Zhou")[["R@1(0.75)", "R@1(0.95)"]].isna().all()
    assert row("MATR, from scratch", "Kumar")[["R@1(0.6)", "R@1 avg"]].isna().all()
    assert row("MGFFNet", "Zhou", data="THUMOS14")["R@1(0.9)"] == 11.01
