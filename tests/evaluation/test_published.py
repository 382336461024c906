import numpy as np
import pandas as pd
import pytest

from vreloc_pyg.evaluation import published_numbers, with_published


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


#: Rows of a table and the published rows that their systems re-implement.
PUBLISHED = {
    "chance (train length)": "chance",
    "frame-level (strict)": "frame-level",
    "MGFFNet (recommended)": "MGFFNet",
}


@pytest.fixture
def table():
    names = ["chance (train length)", "frame-level (strict)", "window rule", "MGFFNet (recommended)"]
    names.append("MGFFNet (recommended), query of another class")
    return pd.DataFrame({"system": names, "R@1(0.5)": 1.0, "R@1(0.75)": 0.5, "R@1 avg": 0.7})


def test_published_columns_beside_fengs_split(table):
    shown = with_published(table, "video_reloc", PUBLISHED).set_index("system")
    pd.testing.assert_frame_equal(shown[table.columns[1:]].reset_index(), table)
    feng = shown["published R@1(0.5), Feng et al. 2018"]
    assert feng.tolist() == pytest.approx([16.2, 18.8, *[np.nan] * 3], nan_ok=True)
    zhou = shown["published R@1(0.5), Zhou et al. 2022 (protocol unclear)"]
    assert zhou.tolist() == pytest.approx([16.1, 20.2, np.nan, 49.28, np.nan], nan_ok=True)
    assert "published R@1(0.75), Feng et al. 2018" not in shown
    assert shown["published R@1(0.75), Zhou et al. 2022 (protocol unclear)"].iloc[3] == 44.01
    assert "published R@1(0.6), Feng et al. 2018" not in shown


def test_published_columns_of_other_data(table):
    own = with_published(table, "thumos14", PUBLISHED)
    assert [name for name in own if name.startswith("published")] == [
        "published R@1(0.5), Zhou et al. 2022", "published R@1 avg, Zhou et al. 2022",
    ]  # fmt: skip
    assert own["published R@1(0.5), Zhou et al. 2022"].iloc[3] == 42.11
    for data in ("penn_action", "activitynet"):
        pd.testing.assert_frame_equal(with_published(table, data, PUBLISHED), table)
