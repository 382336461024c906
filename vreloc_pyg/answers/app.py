"""A local web page that answers for two videos; Gradio is imported when it is built."""

from __future__ import annotations

import hashlib
import html
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from vreloc_pyg.answers.example_videos import draw_example
from vreloc_pyg.answers.page import page_text
from vreloc_pyg.answers.playable import is_playable, playable_copy
from vreloc_pyg.errors import MissingExtraError, SettingsError, VideoError, VrelocError
from vreloc_pyg.localization.locate import VideoAnswer
from vreloc_pyg.video.decoding import video_duration

if TYPE_CHECKING:
    from gradio import Blocks

#: Longest query that the sliders choose, in seconds, where a video does not say how long it is.
LONGEST_S = 600.0
#: So many questions are answered at a time, and reading the videos of one takes no longer, in seconds.
TOGETHER, ANSWER_S = 4, 900.0
SEEK = "(s) => { const v = document.querySelector('#preview video'); if (v) v.currentTime = s; return s; }"


#: What finds a query's action: :func:`vreloc_pyg.localization.locate.locate` with a system chosen.
Answering = Callable[..., VideoAnswer]


class DemoApp:
    """Two videos in, the page of an answer out.

    The server hands out the files of ``folder`` that it made or took in, and of ``videos`` those that were
    asked for; nothing else.

    Args:
        answer: finds the segments.
        folder: for uploads, copies that browsers play, and the example.
        videos: folders whose videos may be named by their paths; by default none may.
    """

    def __init__(self, answer: Answering, folder: str | Path, videos: Sequence[str | Path] = ()) -> None:
        self.answer, self.folder = answer, Path(folder).resolve()
        self.videos = [Path(one).resolve() for one in videos]
        for one in self.videos:
            if not one.is_dir():
                raise SettingsError(f"Expected a folder of videos (got {str(one)!r})")
        #: What the server may hand out beside uploads: copies, and single files as they are shown.
        self.reachable = [str(self.folder / "copies")]

    def build(self) -> Blocks:
        """The page; :class:`MissingExtraError` if Gradio is not installed."""
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported
        os.environ["GRADIO_TEMP_DIR"] = str(self.folder / "uploads")
        os.environ["GRADIO_EXAMPLES_CACHE"] = str(self.folder / "examples")
        try:
            import gradio as gr
        except ImportError:
            raise MissingExtraError(
                "The web page needs Gradio, which is not installed: pip install 'vreloc_pyg[demo]'"
            ) from None

        by_path = bool(self.videos)
        with gr.Blocks(title="vreloc", analytics_enabled=False) as blocks:
            gr.Markdown("# Where is this action?\nA query clip shows it, the reference is searched for it.")
            with gr.Row():
                query, reference = (
                    gr.File(label=f"{role} video", elem_id=f"upload_{role.lower()}", height=110)
                    for role in ("Query", "Reference")
                )
            with gr.Row(visible=by_path):
                query_path, reference_path = (
                    gr.Textbox(label=f"or the {role}'s path", elem_id=f"path_{role}")
                    for role in ("query", "reference")
                )
            with gr.Row():
                preview = gr.HTML(elem_id="preview")
                with gr.Column():
                    start = gr.Slider(0, 1, 0, step=0.01, label="Action begins, s", elem_id="start")
                    end = gr.Slider(0, 1, 1, step=0.01, label="Action ends, s", elem_id="end")
            with gr.Row():
                example = gr.Button("Drawn example", elem_id="example")
                find = gr.Button("Find", variant="primary", elem_id="find")
            shown = gr.HTML(elem_id="answer")
            private: dict[str, Any] = {"api_visibility": "private"}
            chosen: dict[str, Any] = {"outputs": [preview, start, end], **private}
            example.click(self._example, outputs=[query, reference], **private)
            query.change(self._preview, [query, query_path], **chosen)
            query_path.submit(self._preview, [query, query_path], **chosen)
            for slider in (start, end):
                slider.release(None, slider, js=SEEK, **private)
            places = [query, reference, query_path, reference_path]

            # Gradio finds the progress bar by its place among the arguments.
            def ask(*values: Any, progress: Any = gr.Progress()) -> str:  # noqa: B008
                return self.find(progress, *values)

            find.click(ask, [*places, start, end], shown, concurrency_limit=TOGETHER, **private)
        return blocks.queue(default_concurrency_limit=2 * TOGETHER)

    def readable(self, path: str) -> Path:
        """A video named by its path; :class:`VideoError` if it lies elsewhere, whether it exists or not."""
        place = Path(path).expanduser().resolve()  # where links lead
        if not any(place.is_relative_to(folder) for folder in self.videos):
            raise VideoError(f"{path} does not lie in a folder that was given with --videos")
        return place

    def _choose(self, upload: str | None, path: str, role: str) -> Path:
        if path and path.strip():
            return self.readable(path.strip())
        if upload is None:
            raise VideoError(f"Choose a {role} video")
        return Path(upload)

    def _example(self) -> list[str]:
        return [str(path) for path in draw_example(self.folder / "uploads")]

    def _preview(self, upload: str | None, path: str) -> tuple[str, Any, Any]:
        import gradio as gr

        if upload is None and not path:
            return "", gr.skip(), gr.skip()
        try:
            video = self._choose(upload, path, "query")
            lasting = round(video_duration(video) or LONGEST_S, 2)
            source = html.escape(self._source(video))
        except (VrelocError, OSError) as error:
            return _sorry(error), gr.skip(), gr.skip()
        player = f'<video src="{source}" controls muted style="width:100%;max-height:260px"></video>'
        return player, gr.Slider(0, lasting, 0), gr.Slider(0, lasting, lasting)

    def find(
        self,
        progress: Callable[..., object],
        query: str | None,
        reference: str | None,
        query_path: str,
        reference_path: str,
        start_s: float,
        end_s: float,
    ) -> str:
        """HTML of an answer, or of one line that says why there is none.

        Args:
            progress: called as ``gradio.Progress`` is.
            query, reference: uploaded files; files that are named by a path go first.
            start_s, end_s: the part of the query, in seconds.
        """
        seen, until = 0, time.monotonic() + ANSWER_S

        def count(name: str, frames: int, total: int | None) -> None:
            nonlocal seen
            seen += frames
            if time.monotonic() > until:
                raise VideoError(f"Reading took longer than {ANSWER_S:.0f} s: choose shorter videos")
            if seen % 25 == 0:
                progress((seen, None), desc=f"reading {name}", unit="frames")

        try:
            clip = self._choose(query, query_path, "query")
            video = self._choose(reference, reference_path, "reference")
            lasting = video_duration(clip)
            whole = lasting is not None and end_s > lasting - 0.02  # the slider's end is rounded
            found = self.answer(clip, video, start_s=start_s, end_s=None if whole else end_s, progress=count)
            text = page_text(found, self._source(clip), self._source(video))
        except (VrelocError, OSError) as error:
            return _sorry(error)
        frame = "width:100%;height:1100px;border:0;background:#fff"
        return f'<iframe title="answer" style="{frame}" srcdoc="{html.escape(text)}"></iframe>'

    def _source(self, video: Path) -> str:
        """Where the page's players find a video: itself, or a copy that browsers play."""
        if not is_playable(video):
            key = hashlib.sha256(f"{video} {video.stat().st_mtime_ns}".encode()).hexdigest()[:16]
            copy = self.folder / "copies" / f"{key}.mp4"
            video = copy if copy.exists() else playable_copy(video, copy)
        if str(video) not in self.reachable:
            self.reachable.append(str(video))  # this file, not its folder
        return f"/gradio_api/file={quote(str(video))}"


def _sorry(error: Exception) -> str:
    return f'<p class="error" role="alert">{html.escape(" ".join(str(error).split()))}</p>'
