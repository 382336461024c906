"""The server of the local web page: this machine alone, and nothing from other servers."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from vreloc_pyg.answers.app import App
from vreloc_pyg.answers.desk import TOGETHER, Desk
from vreloc_pyg.answers.guard import Guard
from vreloc_pyg.answers.questions import Question
from vreloc_pyg.answers.room import Room
from vreloc_pyg.errors import SettingsError
from vreloc_pyg.files import user_cache

#: What a request adds to a file that it uploads, in bytes, at most.
AROUND = 10**5


def serve(
    question: Callable[[Desk], Question],
    host: str = "127.0.0.1",
    port: int = 7860,
    videos: Sequence[str | Path] = (),
    max_upload_mb: int = 500,
    max_uploads_mb: int = 5000,
) -> None:
    """Serve the page until interrupted; uploads and copies are removed at the end.

    Args:
        question: what is asked, made with what hands out the answers' videos; it may be asked from several
            threads, a few times at once.
        host, port: to listen on; by default this machine alone reaches it.
        videos: folders whose videos may be named by their paths.
        max_upload_mb: largest upload in MB.
        max_uploads_mb: what all uploads, copies and clips together may take, in MB; for further ones, those
            that were not used for longest are removed.

    Raises:
        SettingsError: if the port is taken, or a setting is impossible.
        MissingExtraError: if Gradio is not installed.
    """
    if max_uploads_mb < max_upload_mb:
        raise SettingsError(
            f"Expected max_uploads_mb >= max_upload_mb (got {max_uploads_mb} and {max_upload_mb})"
        )
    if max_upload_mb < 1 or not 0 < port < 65536:
        raise SettingsError(
            f"Expected max_upload_mb >= 1 and 0 < port < 65536 (got {max_upload_mb} and {port})"
        )
    with tempfile.TemporaryDirectory(prefix="vreloc-serve-") as folder:
        room = Room(folder, max_uploads_mb * 10**6)
        desk = Desk(room, [user_cache()])
        blocks = App(question(desk), desk, videos).build()
        from gradio.themes import Base
        from starlette.middleware import Middleware

        try:
            _, address, _ = blocks.launch(
                server_name=host,
                server_port=port,
                share=False,
                ssr_mode=False,
                quiet=True,
                prevent_thread_lock=True,
                max_file_size=max_upload_mb * 10**6,
                footer_links=[],
                enable_monitoring=False,
                theme=Base(font=["system-ui", "sans-serif"], font_mono=["monospace"]),  # none from a server
                max_threads=20 * TOGETHER,
                app_kwargs={
                    "middleware": [Middleware(Guard, room, max_upload_mb * 10**6 + AROUND, desk.answer)]
                },
            )
        except OSError as error:
            raise SettingsError(f"Cannot listen on {host}:{port}: {error}") from None
        try:
            print(f"Open {address} in a browser; Ctrl-C ends it.", flush=True)
            threading.Event().wait()
        except KeyboardInterrupt:
            print("Ended")
        finally:
            blocks.close(verbose=False)
