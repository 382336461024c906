"""Files as other tools write them, and files that are wrong."""

import contextlib
import csv
import json
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.answers.exports.making import content_of, write_at
from vreloc_pyg.answers.exports.formats import load_format
from vreloc_pyg.datasets.folder_annotations import read_annotations
from vreloc_pyg.datasets.imports.action import Action, video_id
from vreloc_pyg.datasets.imports.cells import FORMULA
from vreloc_pyg.datasets.imports.read import read_actions, write_annotations
from vreloc_pyg.datasets.reading import Notes
from vreloc_pyg.errors import DataError, VrelocError


def read(tmp_path, text, name="given", **options):
    path = tmp_path / name
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return read_actions([path], **options)


ELAN = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2020-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
    <MEDIA_DESCRIPTOR MEDIA_URL="file:///D:/films/my%20day.mp4" MIME_TYPE="video/mp4"/>
  </HEADER>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="780"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1590"/>
    <TIME_SLOT TIME_SLOT_ID="ts3"/>
  </TIME_ORDER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="wave">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
      <ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
      <ANNOTATION_VALUE>x</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>
  <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>
</ANNOTATION_DOCUMENT>
"""


def test_elan(tmp_path):
    notes = Notes()
    found = read(tmp_path, ELAN.replace("{value}", "clap &amp; shout"), notes=notes)
    assert found == [("my day", 0.78, 1.59, "clap & shout")]
    assert "without times of their own" in notes.lines()[0]
    assert read(tmp_path, ELAN.replace("{value}", ""))[0].label == "wave"


def label_studio(*results, **data):
    task = {"id": 1, "data": {"video": "/data/upload/3/0a1b2c3d-day.mp4", **data}}
    return [{**task, "annotations": [{"id": 5, "result": list(results)}], "predictions": [{"result": [{}]}]}]


def timeline(start, end, *labels):
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": list(labels)}
    return {"type": "timelinelabels", "value": value, "from_name": "a", "to_name": "video"}


def test_label_studio(tmp_path):
    one = timeline(1, 25, "wave", "clap")
    frames = [(1, True), (6, True), (10, False), (21, True)]
    shown = [{"frame": frame, "enabled": on, "x": 1, "y": 1, "width": 9, "height": 9} for frame, on in frames]
    value = {"framesCount": 30, "duration": 3.0, "sequence": shown, "labels": ["sit"]}
    found = read(tmp_path, label_studio(one), rate=Fraction(25))
    assert found == [("day", 0.0, 1.0, "clap"), ("day", 0.0, 1.0, "wave")]
    box = {"type": "videorectangle", "value": value}
    assert read(tmp_path, label_studio(box)) == [("day", 0.0, 1.0, "sit"), ("day", 2.0, 3.0, "sit")]
    single = read(tmp_path, label_studio(timeline(3, 3, "a"), frame_rate="25"))
    assert single == [("day", 0.08, 0.12, "a")]
    predicted = [{**label_studio()[0], "annotations": [], "predictions": [{"result": [one]}]}]
    assert len(read(tmp_path, predicted, rate=Fraction(25))) == 2


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><name>my task</name><size>100</size><source>day.mp4</source></task></meta>
<track id="0" label="wave" source="manual">{boxes}</track>
</annotations>"""


def boxes(*frames):
    return "".join(
        f'<box frame="{frame}" outside="{int(out)}" keyframe="1" xtl="1" ytl="1" xbr="2" ybr="2"/>'
        for frame, out in frames
    )


def test_cvat(tmp_path):
    given = [(10, False), (11, False), (20, True), (30, False), (31, False)]
    found = read(tmp_path, CVAT.replace("{boxes}", boxes(*given)), rate=Fraction(10))
    assert found == [("day", 1.0, 2.0, "wave"), ("day", 3.0, 3.2, "wave")]
    tags = "".join(f'<image id="{i}" name="f"><tag label="sit"/></image>' for i in (3, 4, 5, 9))
    found = read(tmp_path, f"<annotations>{tags}</annotations>", "day.xml", rate=Fraction(10))
    assert found == [("day", 0.3, 0.6, "sit"), ("day", 0.9, 1.0, "sit")]


def boris(events, files=("day.mp4",), **info):
    behaviours = {"0": {"type": "State event", "code": "s"}, "1": {"type": "Point event", "code": "p"}}
    observation = {"file": {"1": list(files), "2": []}, "type": "MEDIA", "time offset": 0.0, "events": events}
    return {"behaviors_conf": behaviours, "observations": {"first": {**observation, "media_info": info}}}


def test_boris(tmp_path):
    events = [
        [3.3, "ann", "s", "", ""],
        [4, "bob", "s", "", ""],
        [7.75, "ann", "s", "", ""],
        [8, "", "p", "", ""],
    ]
    notes = Notes()
    assert read(tmp_path, boris(events), notes=notes) == [("day", 3.3, 7.75, "s")]
    assert {line.split(" ", 1)[1].split(",")[0] for line in notes.lines()} == {
        "point events",
        "state events without an end",
    }
    second = [[12.5, "", "s", "", "", 312], [14.0, "", "s", "", "", 350]]
    found = read(tmp_path, boris(second, ("one.mp4", "two.mp4"), length={"one.mp4": 10.0, "two.mp4": 10.0}))
    assert found == [("two", 2.5, 4.0, "s")]
    head = "Observation id,Media file name,Behavior,Behavior type,Start (s),Stop (s)"
    table = f"{head}\nfirst,/films/day.mp4,s,STATE,1.5,2.5\nfirst,/films/day.mp4,p,POINT,3,3\n"
    for separator in ",;\t":
        assert read(tmp_path, table.replace(",", separator)) == [("day", 1.5, 2.5, "s")]


def test_activitynet(tmp_path):
    video = {
        "duration": 10.0,
        "subset": "training",
        "annotations": [{"label": "jump", "segment": [1.0, 4.5]}],
    }
    found = read(tmp_path, {"version": "1.3", "taxonomy": [], "database": {"abc-d": video}})
    assert found == [("abc-d", 1.0, 4.5, "jump")]


def test_markers_of_a_timeline_go_before_its_clips(tmp_path):
    otio = pytest.importorskip("opentimelineio")
    time = otio.opentime.RationalTime
    clip = otio.schema.Clip("take 1", otio.schema.ExternalReference("file:///films/day.mp4"))
    clip.source_range = otio.opentime.TimeRange(time(0, 25), time(100, 25))
    span = otio.opentime.TimeRange(time(25, 25), time(50, 25))
    timeline = otio.schema.Timeline("t")
    timeline.tracks.append(otio.schema.Track("V"))
    timeline.tracks[0].append(clip)
    assert read(tmp_path, otio.adapters.write_to_string(timeline, "otio_json")) == [
        ("day", 0.0, 4.0, "take 1")
    ]
    clip.markers.append(otio.schema.Marker("wave", span))
    assert read(tmp_path, otio.adapters.write_to_string(timeline, "otio_json")) == [("day", 1.0, 3.0, "wave")]


LAUGHS = '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]>\n<annotations>&c;</annotations>'
BAD_RANGE = label_studio(timeline("soon", 3, "a"), frame_rate=25)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "line 1: a document type is declared"),
        ('<!DOCTYPE a SYSTEM "/etc/passwd"><annotations/>', "line 1: a document type"),
        ("<annotations>\n<track></annotations>", "line 2: mismatched tag; no XML"),
        ("<a>" * 100, "nested too deep"),
        (
            '<?xml version="1.0" encoding="shift_jis"?><annotations/>',
            "multi-byte encodings are not supported",
        ),
        ('<?xml version="1.0" encoding="idna"?><annotations/>', "Unsupported error handling"),
        ("video" * 30_000, "field larger than field limit"),
        ('[{"data": {"video": "a\\u0000.mp4"}}]', "with a character that no file can hold"),
        (json.dumps(label_studio(timeline(1, 1e308, "a"), frame_rate="1e-9")), "too large for a float"),
        ("<svg/>", "is no file of ELAN, Label Studio"),
        ("", "is no file of ELAN"),
        ("hello", "is no file of ELAN"),
        ("[1, 2]", "is no file of ELAN"),
        ('{"a": 1}', "is no file of ELAN"),
        ('[{"data": 1}]', "task 1: expected an object"),
        ('[{"data": {}}]', "task 1: its 'data' name no video"),
        (json.dumps(BAD_RANGE), "task 1, result 1: expected a number (got 'soon')"),
        (json.dumps(label_studio({"value": 3})), "task 1, result 1: expected an object with a 'value'"),
        (json.dumps(label_studio(timeline(5, 2, "a"), frame_rate=25)), r"the stretch [0.16, 0.08] s is none"),
        (json.dumps(label_studio(timeline(1, 2, "a"))), "counts frames of 'day' and does not say how many"),
        (CVAT.replace("{boxes}", boxes((3, False))), "does not say how many there are in a second"),
        (CVAT.replace("{boxes}", "\n" + boxes(("x", False))), "line 5: expected a number (got 'x')"),
        (json.dumps(boris([[1, "", "s"], 3])), "is no project of BORIS"),
        (json.dumps(boris([["x", "", "s", "", ""]])), "observation 'first', event 1: expected a number"),
        ('{"OTIO_SCHEMA": "Nothing.1"}', "cannot be read"),
        ('{"OTIO_SCHEMA": "Timeline.1", "tracks": 3}', "cannot be read"),
        ("<ANNOTATION_DOCUMENT VERSION='3.0'/>", "is no annotation document of ELAN"),
        ("video,start_s,end_s,label\na,1,x,b\n", "line 2: expected a number (got 'x')"),
        ("TITLE: a\n001 AX V C 00:00:00:00 00:00:01:00\n", "does not say how many"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path, text, said):
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    assert str(tmp_path / "given") in str(caught.value)
    assert said in str(caught.value)


def test_a_broken_edit_list_and_a_huge_file(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="the edit list: cannot be read: incorrect number of fields"):
        read(tmp_path, "TITLE: a\n001 AX V C 00:00:00:00\n", rate=Fraction(25))
    monkeypatch.setattr("vreloc_pyg.datasets.imports.read.LARGEST", 3)
    with pytest.raises(DataError, match="annotations are not"):
        read(tmp_path, "<annotations/>")


def test_the_rate_is_that_of_the_video_in_a_folder(tmp_path):
    films = tmp_path / "films" / "deep"
    films.mkdir(parents=True)
    write_at(films / "day.mkv", Fraction(30000, 1001))
    (found,) = read(tmp_path, label_studio(timeline(1, 30, "wave")), videos=tmp_path / "films")
    assert found.end_s == pytest.approx(1.001)


@pytest.mark.parametrize(
    ("video", "name"),
    [
        ("a.mp4", "a"),
        ("v_1.5", "v_1.5"),
        ("C:\\films\\a b.mov", "a b"),
        ("file:///x/a%20b.mkv", "a b"),
        ("/data/local-files/?d=films/c.mp4", "c"),
        ("https://host/x/d.mp4", "d"),
        ("s3://bucket/e.webm", "e"),
        (".mp4", ".mp4"),
        ("http://[", "["),
        ("file://[x].mp4", "[x]"),
        ("file://x.mp4", "x"),
    ],
)
def test_names_of_videos(video, name):
    assert video_id(video) == name


def test_what_is_written_is_read_by_the_folder(tmp_path):
    actions = read(tmp_path, 'video,start_s,end_s,label\na,0.1,2,"b, ""c"""\na,0.1,2,"b, ""c"""\n')
    assert len(actions) == 1
    actions += [("#2", 0.0, 1.0, "=1+1"), ("'=a", 0.0, 1.0, "-x")]  # no comment, and nothing to compute
    actions = [Action(*one) for one in actions]
    path = write_annotations(tmp_path / "annotations.csv", actions)
    written = csv.reader(path.read_text().splitlines())
    assert not any(cell.startswith(FORMULA) for row in written for cell in row)
    rows, problems = read_annotations(path)
    assert not problems
    assert [(row.video, row.start_s, row.end_s, row.label) for row in rows] == actions


@pytest.mark.parametrize("name", ["json", "csv", "edl", "otio", "eaf", "labelstudio", "cvat", "boris"])
@settings(max_examples=40)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, name, data):
    frames = [(10, 20, "a b"), (15, 40, "c"), (50, 51, "d")]
    text = load_format(name).write(content_of(Fraction(25), frames))
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.one_of(st.integers(0, 40), st.just(len(text))))
    put = data.draw(
        st.sampled_from(["", "<", '"', "&", "null", "-1", "1e999", "NaN", "{}", "[", "x", "\n", "\x00"])
    )
    path = tmp_path_factory.mktemp("damaged") / "given"
    path.write_text(text[:start] + put + text[start + length :], encoding="utf-8")
    with contextlib.suppress(VrelocError):
        assert all(0 <= one.start_s < one.end_s for one in read_actions([path], rate=Fraction(25)))
