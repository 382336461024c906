import numpy as np
import pytest

from vreloc_pyg.datasets import Folder, validate_folder
from vreloc_pyg.errors import DataError
from vreloc_pyg.features.store import open_store

HEADER = "video,start_s,end_s,label"
GOOD = ["a,1,4,run", "b,2,5,run", "a,5,9,jump", "c,0,3,jump", "b,6,9,sit", "c,4,8,sit"]


def write(tmp_path, *lines, header=HEADER, name="annotations.csv", encoding="utf-8", end="\n"):
    path = tmp_path / name
    path.write_bytes(end.join([header, *lines, ""]).encode(encoding))
    return path


def problems(path, store=None):
    return [(one.line, one.message, one.severity) for one in validate_folder(path, store)]


def features(tmp_path, videos="abc", num_steps=40, metadata='{"frames_per_step": 10, "frame_rate": 40}'):
    folder = tmp_path / "features"
    folder.mkdir()
    for video in videos:
        np.save(folder / f"{video}.npy", np.zeros((num_steps, 3), dtype=np.float32))
    if metadata:
        (folder / "metadata.json").write_text(metadata)
    return open_store(folder)


@pytest.mark.parametrize(
    "options",
    [
        *({}, {"encoding": "utf-8-sig"}, {"end": "\r\n"}),
        *({"header": header} for header in ("Video, Start_s ,end_s,LABEL", "# my videos\n\n" + HEADER)),
    ],
)
def test_a_good_file(tmp_path, options):
    path = write(tmp_path, *GOOD, "# a comment", "", " , ,,", **options)
    assert problems(path) == []
    dataset = Folder(tmp_path)
    assert dataset.classes == ("jump", "run", "sit")
    instances = {one.video_id: one.instances for one in dataset.videos}
    assert instances["a"] == ((1.0, 4.0, "run"), (5.0, 9.0, "jump"))
    assert Folder(path).classes == dataset.classes


def test_splits_of_a_good_file(tmp_path):
    write(tmp_path, *GOOD)
    store = features(tmp_path)
    splits = Folder(tmp_path).splits(store)
    assert [len(split.classes) for split in splits.values()] == [1, 1, 1]
    for split in splits.values():
        for query, reference in map(split.__getitem__, range(len(split))):
            assert query.label in reference.labels
            assert not reference.shares_source(query)
    assert splits["test"].references[0].seconds_per_step == 0.25


def test_other_columns_and_durations(tmp_path):
    header = "note,label,video,end_s,start_s,duration_s"
    rows = ["x,run,a,4,1,10", "x,run,b,12.1,2,12", "x,jump,a,8,7,", "x,jump,b,1,0,12"]
    rows += ["x,sit,a,6,5,10", "x,sit,b,2,1,"]
    dataset = Folder(write(tmp_path, *rows, header=header))
    assert dataset.durations_s == {"a": 10.0, "b": 12.0}
    assert (2.0, 12.0, "run") in dataset.videos[1].instances


def test_every_problem_is_found_in_one_pass(tmp_path):
    lines = [
        *GOOD,  # lines 2 to 7
        "a,9,2,run",  # 8
        "a,9,9,run",
        "a,x,9,run",  # 10
        "a,1,nan,run",
        "a,-1,3,run",
        ",1,3,run",
        "a,1,3,",
        "a,1",  # 15
        "a,1,4,run",
        "a,3,6,run",
        '"quoted, name",1,3,alone',
    ]
    found = problems(write(tmp_path, *lines))
    assert found == [
        (8, "the segment [9, 2] of 'a' is reversed", "error"),
        (9, "the segment [9, 9] of 'a' has no length", "error"),
        (10, "has a start_s that is no number: 'x'", "error"),
        (11, "the segment [1, nan] of 'a' is not finite", "error"),
        (12, "the segment [-1, 3] of 'a' begins before the video", "error"),
        (13, "has an empty video", "error"),
        (14, "has an empty label", "error"),
        (15, "has 2 cells, expected 4: it may be cut off", "error"),
        (16, "is line 2 again", "error"),
        (17, "overlaps line 2: both are 'run' in 'a'", "error"),
        (18, "'alone' is in one video only: there is no other to look for it in", "warning"),
    ]
    with pytest.raises(
        DataError, match=r"annotations.csv, line 8: .*csv, line 9: .*, line 10: .*; 7 more, see"
    ):
        Folder(tmp_path)


@pytest.mark.parametrize(
    ("lines", "line", "problem"),
    [
        (['a,20,24,"run', "b,20,24,run", "c,20,24,run"], 10, "is a quotation mark not closed"),
        (['a,20,24,"run', 'b,20,24,run"', "c,20,24,run"], 9, "a quotation mark is not closed there"),
        (["a,20,24,run,fast"], 8, "has 5 cells, expected 4: is there a comma in one of them?"),
        (['a,20,24,"run"fast'], 8, "is no CSV"),
    ],
)
def test_a_line_that_does_not_fit_its_header_swallows_no_others(tmp_path, lines, line, problem):
    found = problems(write(tmp_path, *GOOD, *lines))
    assert [(number, severity) for number, _, severity in found] == [(line, "error")]
    assert problem in found[0][1]


def test_segments_within_others_overlap_them(tmp_path):
    found = problems(write(tmp_path, *GOOD, "d,1,9,run", "d,2,3,run", "d,8,12,run", "d,12,13,run"))
    assert [one[:2] for one in found] == [(i, "overlaps line 8: both are 'run' in 'd'") for i in (9, 10)]


def test_durations_that_disagree(tmp_path):
    header = HEADER + ",duration_s"
    rows = [f"{row},30" for row in GOOD]
    rows += ["a,20,25,run,31", "a,26,40,run,30", "a,0,1,sit,-3"]
    found = problems(write(tmp_path, *rows, header=header))
    assert [one[:2] for one in found] == [
        (8, "gives 'a' a duration of 31 s, line 2 of 30 s"),
        (9, "the segment [26, 40] of 'a' lies outside its video of 30 s"),
        (10, "has a duration_s that is not positive: -3"),
    ]


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("video,start_s,label", "lacks the column end_s; expected video,start_s,end_s,label"),
        ("a,1,4,run", "lacks the column video, start_s, end_s, label"),
        (HEADER + ",video", "has the column video twice"),
    ],
)
def test_headers(tmp_path, header, problem):
    ((line, message, severity),) = problems(write(tmp_path, *GOOD, header=header))
    assert (line, severity) == (1, "error")
    assert problem in message


def test_empty_files_and_few_classes(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    assert problems(tmp_path / "empty.csv")[0][1].startswith("the file is empty")
    assert problems(write(tmp_path))[0][1] == "there is no line below the header"
    (only,) = (one for one in problems(write(tmp_path, *GOOD[:4])) if one[2] == "error")
    assert only[1] == "there are 2 classes; training, validation and test need one each"


def test_features_that_are_missing_or_too_short(tmp_path):
    path = write(tmp_path, *GOOD, "a,9,12,run")
    found = problems(path, features(tmp_path, "ab"))
    assert [one[:2] for one in found] == [
        (5, f"'c' has no features in {tmp_path / 'features'} (1 such videos)"),
        (8, "the segment [9, 12] of 'a' lies outside its video of 10 s"),
    ]


def test_features_of_unknown_rate(tmp_path):
    path = write(tmp_path, *GOOD)
    store = features(tmp_path, metadata=None)
    assert problems(path, store)[0][1].startswith("'a' has no known duration")
    with pytest.raises(DataError, match="3 videos of unknown or contradictory duration"):
        Folder(path).splits(store)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="Cannot read"):
        validate_folder(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match=r"annotations.csv or one \*.csv in .* \(found 0\)"):
        Folder(tmp_path)
    write(tmp_path, "é,1,4,run", name="latin.csv", encoding="latin-1")
    with pytest.raises(DataError, match="Cannot read"):
        Folder(tmp_path)  # the only CSV
    write(tmp_path, '"open,1,4,run', name="latin.csv")
    assert problems(tmp_path)  # an open quote is no row
