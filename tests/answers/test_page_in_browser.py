"""The page of two videos in a real browser."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from tests.answers.serving import browsing
from tests.videos import counting, write_video
from vreloc_pyg.answers.page import write_page
from vreloc_pyg.answers.results import load_results
from vreloc_pyg.localization import Calibration
from vreloc_pyg.localization.locate import SeenPoses, VideoAnswer
from vreloc_pyg.segments import Segments

pytestmark = pytest.mark.slow


def an_answer(folder: Path, name: str) -> VideoAnswer:
    """Somebody is seen in the reference from second 2 on: the head at a quarter, the rest in the middle."""
    query = write_video(folder / "query.mp4", counting(20, 8))
    codec = "mpeg4" if name.endswith(".avi") else "libx264"  # browsers play a copy of the first
    reference = write_video(folder / name, counting(60), codec=codec, options={"g": "5"})
    joints = torch.full((30, 13, 2), 0.5)
    joints[:, 0] = 0.25
    joints[:10] = math.nan
    return VideoAnswer(
        query,
        reference,
        (0.0, 2.0),
        "a system",
        Segments(torch.tensor([[3.2, 4.8], [0.5, 1.5]]), torch.tensor([0.9, 0.4])),
        Calibration(slope=20.0, intercept=-13.0, num_present=8, num_absent=20),
        torch.linspace(0, 1, 30),
        0.2,
        6.0,
        {"top_n": 2},
        proposals=Segments(torch.tensor([[3.2, 4.8], [0.5, 1.5], [1.0, 2.0]]), torch.tensor([0.9, 0.4, 0.3])),
        reference_poses=SeenPoses(joints, 0.0, 0.2),
    )


@pytest.mark.parametrize("name", ["reference </script>.mp4", "reference.avi"])
def test_the_first_result_moves_the_player_to_its_start(tmp_path, name):
    page = write_page(tmp_path / "page.html", an_answer(tmp_path, name))
    with browsing() as (tab, wrong):
        tab.goto(page.as_uri())
        tab.wait_for_function("document.getElementById('reference').readyState > 0")
        assert tab.locator("#timeline .segment").count() == 2
        assert tab.locator("#timeline .proposal").count() == 3
        assert len(tab.locator("#timeline .curve").get_attribute("points").split()) == 30
        assert "Sure: best match at 00:00:03.200" in tab.locator("#verdict").inner_text()
        assert tab.locator("#timeline").bounding_box()["height"] > 100
        start = "document.getElementById('reference').currentTime"
        tab.wait_for_function(f"Math.abs({start} - 3.2) < .01")  # where it stands when it opens
        tab.evaluate("document.getElementById('reference').currentTime = 0")
        click = f"() => {{ document.querySelector('.result').click(); return {start}; }}"  # at once: it plays
        assert tab.evaluate(click) == pytest.approx(3.2)
        tab.evaluate("document.getElementById('reference').pause()")
        assert tab.evaluate("[...document.querySelectorAll('.result img')].every(i => i.naturalWidth > 0)")
        tab.keyboard.press("2")
        assert tab.locator(".result.on").get_attribute("data-rank") == "2"
        assert tab.evaluate(start) < 3.2
        tab.keyboard.press("w")
        tab.locator("[data-rate='1'][data-right='true']").click()
        with tab.expect_download() as download:
            tab.locator("#ratings").click()
        rows = Path(download.value.path()).read_text().splitlines()
        assert rows[0] == "video,start_s,end_s,label"
        assert [row.split(",")[1:] for row in rows[1:]] == [["3.2", "4.8", '"query"']]
        with tab.expect_download() as download:
            tab.locator("#export").click()
        download.value.save_as(tmp_path / "answer.json")
        answer = json.loads((tmp_path / "answer.json").read_text())
        assert [one["right"] for one in answer["segments"]] == [True, False]
        assert not {"poses", "curve", "thumbnail"} & {*answer, *answer["segments"][0]}
        assert "vreloc cut answer.json" in tab.locator("#cutting").inner_text()  # which reads the export:
        assert [one.start_s for one in load_results(tmp_path / "answer.json")[0]] == pytest.approx([3.2, 0.5])
        tab.set_viewport_size({"width": 390, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        tab.screenshot(path=page.parent / "phone.png", full_page=True)
        assert wrong == []


def test_poses_are_drawn_where_somebody_is_seen(tmp_path):
    page = write_page(tmp_path / "page.html", an_answer(tmp_path, "reference.mp4"))
    drawn = """([x, y]) => { const c = document.querySelector('canvas');
        return c.getContext('2d').getImageData(x * c.width, y * c.height, 1, 1).data[3]; }"""
    seek = """s => new Promise(done => { const v = document.getElementById('reference');
        v.addEventListener('seeked', () => setTimeout(done, 50), {once: true}); v.currentTime = s; })"""
    with browsing() as (tab, wrong):
        tab.goto(page.as_uri())
        tab.wait_for_function("document.querySelector('canvas').dataset.shown === 'true'")
        assert tab.locator("canvas").count() == 1  # of the query there are none
        for place, seen in (
            ([0.25, 0.25], True),
            ([0.5, 0.5], True),
            ([0.37, 0.37], True),
            ([0.9, 0.2], False),
        ):
            assert (tab.evaluate(drawn, place) > 0) == seen
        tab.evaluate(seek, 1.9)
        assert tab.evaluate(drawn, [0.5, 0.5]) == 0
        tab.evaluate(seek, 2.1)
        assert tab.evaluate(drawn, [0.5, 0.5]) > 0
        tab.locator("#overlay").uncheck()
        assert tab.evaluate(drawn, [0.5, 0.5]) == 0
        assert wrong == []


def test_clips_of_a_linked_reference_are_links_into_it(tmp_path):
    page = write_page(tmp_path / "page.html", an_answer(tmp_path, "a #b.mp4"), embed_bytes=0)
    with browsing() as (tab, wrong):
        tab.goto(page.as_uri())
        links = tab.get_by_text("open clip")
        assert links.first.get_attribute("href") == f"{page.parent.as_uri()}/a%20%23b.mp4#t=3.2,4.8".replace(
            "3.2", str(float(torch.tensor(3.2)))
        ).replace("4.8", str(float(torch.tensor(4.8))))
        assert wrong == []
