"""The page in a real browser."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.videos import counting, write_video
from vreloc_pyg.answers.page import write_page
from vreloc_pyg.localization import Calibration
from vreloc_pyg.localization.locate import VideoAnswer
from vreloc_pyg.segments import Segments

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(params=["reference </script>.mp4", "reference.avi"])
def page(tmp_path: Path, request):
    query = write_video(tmp_path / "query.mp4", counting(20, 8))
    codec = "mpeg4" if request.param.endswith(".avi") else "libx264"  # browsers play a copy of the first
    reference = write_video(tmp_path / request.param, counting(60), codec=codec, options={"g": "5"})
    bounds = torch.tensor([[3.2, 4.8], [0.5, 1.5]])
    answer = VideoAnswer(
        query,
        reference,
        (0.0, 2.0),
        "a system",
        Segments(bounds, torch.tensor([0.9, 0.4])),
        Calibration(slope=20.0, intercept=-13.0, num_present=8, num_absent=20),
        torch.linspace(0, 1, 30),
        0.2,
        6.0,
        {"top_n": 2},
        proposals=Segments(torch.tensor([[3.2, 4.8], [0.5, 1.5], [1.0, 2.0]]), torch.tensor([0.9, 0.4, 0.3])),
    )
    return write_page(tmp_path / "page.html", answer)


def test_the_first_result_moves_the_player_to_its_start(page: Path):
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        tab = browser.new_page()
        wrong: list[str] = []
        tab.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.goto(page.as_uri())
        tab.wait_for_function("document.getElementById('reference').readyState > 0")
        assert tab.locator("#timeline .segment").count() == 2
        assert tab.locator("#timeline .proposal").count() == 3
        assert len(tab.locator("#timeline .curve").get_attribute("points").split()) == 30
        assert "Sure: best match at 00:00:03.200" in tab.locator("#verdict").inner_text()
        assert tab.locator("#timeline").bounding_box()["height"] > 100
        start = "document.getElementById('reference').currentTime"
        tab.wait_for_function(f"Math.abs({start} - 3.2) < .01")  # where it stands when it opens
        tab.locator(".result").first.click()
        time = tab.evaluate("document.getElementById('reference').currentTime")
        assert 3.2 - 1e-6 <= time < 3.8
        tab.evaluate("document.getElementById('reference').pause()")
        assert tab.evaluate("[...document.querySelectorAll('.result img')].every(i => i.naturalWidth > 0)")
        tab.keyboard.press("2")
        assert 0.5 - 1e-6 <= tab.evaluate(start) < 1.1
        tab.keyboard.press("w")
        tab.locator("[data-rate='1'][data-right='true']").click()
        with tab.expect_download() as download:
            tab.locator("#ratings").click()
        rows = Path(download.value.path()).read_text().splitlines()
        assert rows[0] == "video,start_s,end_s,label"
        assert [row.split(",")[1:] for row in rows[1:]] == [["3.2", "4.8", '"query"']]
        with tab.expect_download() as download:
            tab.locator("#export").click()
        answer = json.loads(Path(download.value.path()).read_text())
        assert [one["right"] for one in answer["segments"]] == [True, False]
        tab.set_viewport_size({"width": 390, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        tab.screenshot(path=page.parent / "phone.png", full_page=True)
        assert wrong == []
        browser.close()
