"""``vreloc locate`` and ``serve``: answers for videos."""

from __future__ import annotations

from functools import partial
from typing import Literal


def locate(
    query: str,
    reference: str,
    *,
    checkpoint: str | None = None,
    system: str | None = None,
    start: float | str = 0.0,
    end: float | str | None = None,
    also: list[str] | None = None,
    unlike: list[str] | None = None,
    person: str | None = None,
    reference_person: str | None = None,
    top: int = 5,
    all: bool = False,
    min_score: float | None = None,
    json: str | None = None,
    srt: str | None = None,
    clip: str | None = None,
    html: str | None = None,
    export: str | None = None,
    features: str | None = None,
    seconds_per_step: float | None = None,
    extractor: str | None = None,
    weights: str | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    cache: str | None = None,
) -> None:
    """Find the segments of a reference that show the action of a query.

    Each of the two is a video, a .npy file of features [num_steps, F], or the name of a video in the feature
    store given by --features; which of these is told by looking.

    Args:
        query: what shows the action.
        reference: what is searched.
        checkpoint: folder of a model of your own, trained on such features.
        system: without one, what answers: similarity-curve, the default on videos; mgffnet, the network that
            comes with the package, the default on poses and else only if asked; alignment, on features that
            nobody knows; window-rule, whose answers are as long as the query, for the very part that it
            shows; mean-cosine; frame-level-slope.
        start: where the action begins in the query, in seconds or as a clock time, 0:01:05.5.
        end: where it ends; by default the end of the query.
        also: further clips of the same action, as [CLIP2,CLIP3].
        unlike: clips of what is not wanted; segments that answer them better are left out.
        person: whom to follow in the query where features are poses, as X,Y: a place on the person when one
            is first seen there, in shares of the picture's width and height; by default whoever moves most.
        reference_person: likewise in the reference.
        top: number of segments, at most.
        all: every segment that may show the action, however many.
        min_score: leave out segments with lower scores.
        json: JSON file to write.
        srt: subtitles of the reference to write, .srt.
        clip: video file for the best segment.
        html: page to write, with both videos, the timeline and the segments.
        export: file for another tool to write, as its suffix says, such as .edl, .otio or .eaf.
        features: feature store that holds what is named rather than a file.
        seconds_per_step: duration of one step of .npy features, in seconds.
        extractor: network of the features of videos, one of {extractors}; by default the model's own, or i3d.
        weights: its weights, as `vreloc weights` keeps them.
        device: where it computes.
        cache: folder where features are kept; by default in the user's cache.

    Example:
        vreloc locate query.mp4 reference.mp4 --start 0:00:01.5 --top 3 --html answer.html
    """
    from vreloc_pyg.answers.outputs import check_answer_outputs, print_answer, write_answer
    from vreloc_pyg.clock import parse_time
    from vreloc_pyg.commands.options import ReadingBar
    from vreloc_pyg.features.store import open_store
    from vreloc_pyg.localization import Localizer, locate
    from vreloc_pyg.video.place import Place

    wanted = {"json": json, "srt": srt, "clip": clip, "html": html, "export": export}
    outputs = check_answer_outputs(query, reference, wanted, [*(also or []), *(unlike or [])])
    query_place, reference_place = (
        None if place is None else Place.parse(place) for place in (person, reference_person)
    )
    store = None if features is None else open_store(features)
    localizer = None if checkpoint is None else Localizer.from_pretrained(checkpoint)
    with ReadingBar() as bar:
        answer = locate(
            query,
            reference,
            localizer,
            system=system,
            also=also or [],
            unlike_these=unlike or [],
            store=store,
            seconds_per_step=seconds_per_step,
            extractor=extractor,
            weights=weights,
            device=device,
            start_s=parse_time(start),
            end_s=None if end is None else parse_time(end),
            person=query_place,
            reference_person=reference_place,
            top_n=top,
            every=all,
            min_score=min_score,
            cache=cache,
            progress=bar,
        )
    print_answer(answer)
    for path in write_answer(answer, outputs):
        print(f"Written to {path}")


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    videos: list[str] | None = None,
    library: str | None = None,
    max_upload_mb: int = 500,
    checkpoint: str | None = None,
    system: str | None = None,
    extractor: str | None = None,
    weights: str | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    cache: str | None = None,
) -> None:
    """Serve a local web page that answers as `vreloc locate` does, or `vreloc search`.

    Args:
        host: address to listen on; by default this machine alone reaches it.
        port: of the server.
        videos: folders whose videos may be named by their paths, as [DIR1,DIR2]; by default none may.
        library: folder of `vreloc index`, to search in place of a reference.
        max_upload_mb: largest upload in MB.
        checkpoint: folder of a model of your own, trained on such features.
        system: without one, what answers, as of `vreloc locate`; not for a library.
        extractor: network of the features, one of {extractors}; by default the model's own, or i3d.
        weights: its weights, as `vreloc weights` keeps them.
        device: where it computes.
        cache: folder where features are kept; by default in the user's cache.

    Example:
        vreloc serve --videos [videos] --checkpoint outputs/own/model
    """
    from vreloc_pyg.answers.questions import LibraryQuestion, PairQuestion
    from vreloc_pyg.answers.server import serve
    from vreloc_pyg.errors import SettingsError
    from vreloc_pyg.library.asking import LibrarySearch
    from vreloc_pyg.localization import Localizer, locate
    from vreloc_pyg.localization.locate import choose_extractor

    limits = (host, port, videos or [], max_upload_mb)
    if library is not None:
        if system is not None or device != "cpu":
            raise SettingsError("A library is searched on the processor, and without --system")
        search = LibrarySearch(library, checkpoint, extractor, weights, cache)
        search.network()  # weights that are missing are found before anybody asks
        serve(partial(LibraryQuestion, search), *limits)
        return
    localizer = None if checkpoint is None else Localizer.from_pretrained(checkpoint)
    network = choose_extractor(localizer, extractor, weights, device)  # once, for all questions
    find = partial(locate, localizer=localizer, system=system, extractor=network, cache=cache)
    serve(partial(PairQuestion, find), *limits)
