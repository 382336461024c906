"""Numbers that others published. They stand beside ours as *published*, never among ours."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from vreloc_pyg.evaluation.hits import AVERAGE_THRESHOLDS, THRESHOLDS, recall_column

FENG = "Feng et al., ECCV 2018"
ZHOU_1 = "Zhou et al., 2022, Table 1"
ZHOU_2 = "Zhou et al., 2022, Table 2"
KUMAR = "quoted by Kumar et al., ICCV 2025, Table 1"

#: R@1 in percent at tIoU .5, .6, .7, .8, .9.
FIVE = [
    ("chance", "ActivityNet", FENG, (16.2, 11.0, 5.4, 2.9, 1.2)),
    ("frame-level", "ActivityNet", FENG, (18.8, 13.9, 9.6, 5.0, 2.3)),
    ("video-level", "ActivityNet", FENG, (24.3, 17.4, 12.0, 5.9, 2.2)),
    ("SST", "ActivityNet", FENG, (33.2, 24.7, 17.2, 7.8, 2.7)),
    ("CGBM", "ActivityNet", FENG, (43.5, 35.1, 27.3, 16.2, 6.5)),
    ("chance", "ActivityNet", ZHOU_1, (16.1, 11.3, 5.6, 3.1, 1.2)),
    ("frame-level", "ActivityNet", ZHOU_1, (20.2, 14.6, 10.4, 5.4, 2.5)),
    ("video-level", "ActivityNet", ZHOU_1, (25.4, 18.1, 12.7, 6.3, 2.6)),
    ("SST", "ActivityNet", ZHOU_1, (34.7, 25.8, 18.3, 8.1, 3.0)),
    ("CGBM", "ActivityNet", ZHOU_1, (45.8, 37.7, 28.2, 17.1, 7.3)),
    ("AFT+SRM", "THUMOS14", ZHOU_2, (36.5, 36.4, 36.2, 24.7, 9.8)),
    ("MGFFNet", "THUMOS14", ZHOU_2, (42.11, 41.76, 40.02, 28.34, 11.01)),
    ("MGFFNet (CNN)", "THUMOS14", ZHOU_2, (40.49, 40.12, 38.75, 27.31, 9.29)),
]

#: R@1 in percent at all of ``THRESHOLDS``.
EIGHT = [
    ("AFT+SRM", "ActivityNet", ZHOU_1, (40.6, 40.5, 40.4, 35.5, 30.0, 24.1, 16.1, 7.5)),
    ("MGFFNet", "ActivityNet", ZHOU_1, (49.28, 49.05, 49.30, 44.01, 37.46, 29.59, 22.07, 9.92)),
    ("MGFFNet (CNN)", "ActivityNet", ZHOU_1, (47.82, 47.64, 46.66, 42.94, 36.03, 28.27, 20.21, 8.30)),
]

#: R@1 in percent at tIoU .5 only.
ONE = [
    ("GDP", "ActivityNet", KUMAR, (44.0,)),
    ("VSLNet*", "ActivityNet", KUMAR, (43.8,)),
    ("FFI+SRM", "ActivityNet", KUMAR, (40.6,)),
    ("2D-TAN*", "ActivityNet", KUMAR, (39.6,)),
    ("MABAN*", "ActivityNet", KUMAR, (37.5,)),
    ("UniVTG (CLIP), lower", "ActivityNet", KUMAR, (49.8,)),
    ("UniVTG (CLIP), upper", "ActivityNet", KUMAR, (50.7,)),
    ("MATR, from scratch", "ActivityNet", "Kumar et al., ICCV 2025, Table 1", (54.8,)),
    ("MATR, pre-trained", "ActivityNet", "Kumar et al., ICCV 2025, Table 1", (57.1,)),
]

#: By data set, whose numbers stand beside ours: ``published_numbers``' data and source, and how they are
#: marked. Data sets that are not named here have a protocol of their own.
COMPARABLE = {
    "video_reloc": (
        ("ActivityNet", FENG, "Feng et al. 2018"),
        ("ActivityNet", ZHOU_1, "Zhou et al. 2022 (protocol unclear)"),
    ),
    "thumos14": (("THUMOS14", ZHOU_2, "Zhou et al. 2022"),),
}
PREFIX = "published "


def published_numbers() -> pd.DataFrame:
    """R@1 in percent as published, one row per system, data set and source.

    They are not ours, and sources differ in their splits: Feng et al. and those after them use 160/20/20
    classes of ActivityNet v1.3, cut so that each reference holds one action; Zhou et al. state v1.2 with
    80/10/10 classes. Zhou et al.'s own curve rises from .6 to .7, which one fixed set of answers cannot do.
    Rows with ``*`` are text-query models fed with a query clip. Of Feng et al.'s rows, Kumar et al. quote
    R@1 at .5 and the average for chance, video-level, SST and CGBM; the values given here agree with both.

    Returns:
        ``system``, ``data``, ``R@1(t)`` for every threshold (NaN where not published), ``R@1 avg`` (the mean
        over .5, .6, .7, .8, .9, computed here) and ``source``.
    """
    columns = [recall_column(threshold) for threshold in THRESHOLDS]
    averaged = [recall_column(threshold) for threshold in AVERAGE_THRESHOLDS]
    rows = []
    for names, block in ((averaged, FIVE), (columns, EIGHT), (columns[:1], ONE)):
        for system, data, source, values in block:
            rows.append(
                {"system": system, "data": data, "source": source, **dict(zip(names, values, strict=True))}
            )
    table = pd.DataFrame(rows, columns=["system", "data", *columns, "source"])
    table.insert(len(table.columns) - 1, "R@1 avg", table[averaged].mean(axis=1, skipna=False))
    return table


def with_published(table: pd.DataFrame, data: str, published: Mapping[str, str]) -> pd.DataFrame:
    """A table of results with others' published numbers in columns of their own.

    Args:
        table: of :func:`~vreloc_pyg.evaluation.result_table`.
        data: name of the data set. Only for ``"video_reloc"`` (Feng et al.'s split of ActivityNet) and
            ``"thumos14"`` there are published numbers to stand beside; Zhou et al.'s on ActivityNet are
            marked, since what they state of their split and what their baselines' rows imply differ.
        published: by system, the row of :func:`published_numbers` that it re-implements, if any.

    Returns:
        The table, followed by columns such as ``"published R@1(0.5), Feng et al. 2018"`` for its thresholds
        that were published for one of its systems; NaN where a system has no counterpart.
    """
    shown = table.copy()
    known = published_numbers()
    columns = [name for name in known.columns if name.startswith("R@1") and name in table]
    for source_data, source, mark in COMPARABLE.get(data, ()):
        rows = known[(known["data"] == source_data) & (known["source"] == source)].set_index("system")
        beside = rows.reindex([published.get(system) for system in table["system"]])
        for column in columns:
            if beside[column].notna().any():
                shown[f"{PREFIX}{column}, {mark}"] = beside[column].to_numpy()
    return shown
