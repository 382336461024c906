"""A local web page that takes videos and shows answers; Gradio is imported when it is built."""

from __future__ import annotations

import html
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vreloc_pyg.answers.desk import TOGETHER, Desk, sorry
from vreloc_pyg.answers.example_videos import draw_example
from vreloc_pyg.answers.questions import Chosen, Question
from vreloc_pyg.errors import MissingExtraError, SettingsError, VideoError, VrelocError
from vreloc_pyg.video.decoding import video_duration

if TYPE_CHECKING:
    from gradio import Blocks

#: Longest query that the sliders choose, in seconds, where a video does not say how long it is.
LONGEST_S = 600.0
#: Reading the videos of one question takes no longer, in seconds.
ANSWER_S = 900.0
SEEK = (
    "(s) => { const v = document.querySelector('#preview_query video'); if (v) v.currentTime = s; return s; }"
)


class App:
    """Videos in, the page of an answer out.

    Args:
        question: what is asked of the videos.
        desk: hands out videos.
        videos: folders whose videos may be named by their paths; by default none may.
    """

    def __init__(self, question: Question, desk: Desk, videos: Sequence[str | Path] = ()) -> None:
        self.question, self.desk = question, desk
        self.videos = [Path(one).resolve() for one in videos]
        for one in self.videos:
            if not one.is_dir():
                raise SettingsError(f"Expected a folder of videos (got {str(one)!r})")
        desk.hidden |= {str(one) for one in self.videos}

    def build(self) -> Blocks:
        """The page; :class:`MissingExtraError` if Gradio is not installed."""
        folder = self.desk.room.folder
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported
        os.environ["GRADIO_TEMP_DIR"] = str(folder / "uploads")
        os.environ["GRADIO_EXAMPLES_CACHE"] = str(folder / "examples")
        try:
            import gradio as gr
        except ImportError:
            raise MissingExtraError(
                "The web page needs Gradio, which is not installed: pip install 'vreloc_pyg[demo]'"
            ) from None

        with gr.Blocks(title="vreloc", analytics_enabled=False) as blocks:
            gr.Markdown(f"# Where is this action?\n{self.question.about}")
            uploads, paths, previews = [], [], []
            with gr.Row():
                for role in self.question.roles:
                    with gr.Column():
                        name = role.capitalize()
                        uploads.append(gr.File(label=f"{name} video", elem_id=f"upload_{role}", height=110))
                        by_path = gr.Textbox(
                            label=f"or the {role}'s path", elem_id=f"path_{role}", visible=bool(self.videos)
                        )
                        paths.append(by_path)
                        previews.append(gr.HTML(elem_id=f"preview_{role}"))
                with gr.Column():
                    start = gr.Slider(0, 1, 0, step=0.01, label="Action begins, s", elem_id="start")
                    end = gr.Slider(0, 1, 1, step=0.01, label="Action ends, s", elem_id="end")
                    with gr.Row():
                        drawn = self.question.example
                        example = gr.Button("Drawn example", elem_id="example", visible=drawn)
                        find = gr.Button("Find", variant="primary", elem_id="find")
            shown = gr.HTML(elem_id="answer")
            private: dict[str, Any] = {"api_visibility": "private"}
            if self.question.example:
                example.click(self._example, outputs=uploads, **private)
            for upload, path, preview in zip(uploads, paths, previews, strict=True):
                first = preview is previews[0]
                shows = {"outputs": [preview, start, end] if first else preview, **private}
                for changed in (upload.change, path.submit):
                    changed(self._preview_query if first else self._preview, [upload, path], **shows)
            for slider in (start, end):
                slider.release(None, slider, js=SEEK, **private)

            # Gradio finds the progress bar by its place among the arguments.
            def ask(*values: Any, progress: Any = gr.Progress()) -> str:  # noqa: B008
                return self.find(progress, *values)

            asked = [*uploads, *paths, start, end]
            find.click(ask, asked, shown, concurrency_limit=TOGETHER, **private)
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
        if not Path(upload).is_file():
            raise VideoError(f"{Path(upload).name} was removed to make room for others: choose it again")
        return Path(upload)

    def _example(self) -> list[str]:
        return [str(path) for path in draw_example(self.desk.room.place("uploads", "example"))]

    def _preview(self, upload: str | None, path: str) -> str:
        """A player for a video that was chosen, or why there is none."""
        if upload is None and not path:
            return ""
        try:
            source = html.escape(self.desk.video(self._choose(upload, path, "")))
        except (VrelocError, OSError) as error:
            return sorry(self.desk.hide(str(error)))
        return f'<video src="{source}" controls muted style="width:100%;max-height:260px"></video>'

    def _preview_query(self, upload: str | None, path: str) -> tuple[str, Any, Any]:
        """The same, and sliders that are as long as the video."""
        import gradio as gr

        player = self._preview(upload, path)
        if not player.startswith("<video"):
            return player, gr.skip(), gr.skip()
        lasting = round(video_duration(self._choose(upload, path, "query")) or LONGEST_S, 2)
        return player, gr.Slider(0, lasting, 0), gr.Slider(0, lasting, lasting)

    def find(self, progress: Callable[..., object], *values: Any) -> str:
        """HTML of an answer, or of one line that says why there is none.

        Args:
            progress: called as ``gradio.Progress`` is.
            values: uploaded files, one for each of the question's roles; as many paths, which go first where
                they are given; and the part of the query, from and to a second.
        """
        seen, until = 0, time.monotonic() + ANSWER_S

        def count(name: str, frames: int, total: int | None) -> None:
            nonlocal seen
            seen += frames
            if time.monotonic() > until:
                raise VideoError(f"Reading took longer than {ANSWER_S:.0f} s: choose shorter videos")
            if seen % 25 == 0:
                progress((seen, None), desc=f"reading {name}", unit="frames")

        number = len(self.question.roles)
        *given, start_s, end_s = values
        try:
            asked = zip(given[:number], given[number:], self.question.roles, strict=True)
            videos = [self._choose(*one) for one in asked]
            with self.desk.room.using(*videos):
                chosen = [
                    Chosen(video, path.strip() if path else video.name, self.desk.video(video))
                    for video, path in zip(videos, given[number:], strict=True)
                ]
                lasting = video_duration(videos[0])
                whole = lasting is not None and end_s > lasting - 0.02  # the slider's end is rounded
                text = self.question.answer(chosen, (start_s, None if whole else end_s), count)
        except (VrelocError, OSError) as error:
            return sorry(self.desk.hide(str(error)))
        frame = "width:100%;height:1100px;border:0;background:#fff"
        return f'<iframe title="answer" style="{frame}" srcdoc="{html.escape(text)}"></iframe>'
