"""``vreloc index`` and ``search``: many videos, and all moments in them that show what a clip shows."""

from __future__ import annotations


def index(
    videos: list[str] = [],  # noqa: B006 (read, never changed)
    *,
    library: str,
    extractor: str | None = None,
    weights: str | None = None,
    features: str | None = None,
    seconds_per_step: float | None = None,
    remove: list[str] | None = None,
    store: str | None = None,
) -> int:
    """Fill a library with videos, or bring it up to date; exit code 3 if some could not be read.

    Videos are known by their content: what was renamed keeps its features, what changed is read anew, and a
    run that was interrupted goes on where it stopped.

    Args:
        videos: video files, folders, patterns such as "day*/*.mp4", or .txt lists of these, a line each.
        library: folder of the library, made where it is not there.
        extractor: network of the features, one of {extractors}; by default the library's own, or i3d.
        weights: its weights, as `vreloc weights` keeps them.
        features: feature store whose videos are added, as they are.
        seconds_per_step: duration of a step of a store that does not say.
        remove: videos or folders to take out of the library, as [A,B]; the files stay.
        store: what keeps the index, faiss, lance, or lance:ADDRESS of a database such as s3://bucket/library.

    Example:
        vreloc index videos --library season
    """
    from pathlib import Path

    from vreloc_pyg.errors import SettingsError
    from vreloc_pyg.features.store import open_store
    from vreloc_pyg.library.clips import extractor_of
    from vreloc_pyg.library.indexing import index_features, index_videos
    from vreloc_pyg.library.inputs import find_videos, stored_videos
    from vreloc_pyg.library.library import Library
    from vreloc_pyg.library.messages import summary

    if features is not None:
        if videos or remove or extractor:
            raise SettingsError("--features is indexed as it is: without videos, --remove and --extractor")
        opened = open_store(features)
        items = stored_videos(opened, seconds_per_step)
        filled = Library(library, create=True, index=store)
        found = index_features(filled, items, opened.metadata)
    else:
        paths = find_videos(videos) if videos else []
        exists = Library.is_in(library)
        if not paths and not exists:
            raise SettingsError(f"Name videos: there is no library in {library} yet")
        network = extractor_of(Library(library) if exists else None, extractor, weights)
        if not exists:
            network()  # weights that are missing are found before a folder is made
        filled = Library(library, create=True, index=store)
        out = [Path(one).absolute() for one in remove or []]
        found = index_videos(filled, paths, network, out)
    print("\n".join(summary(found, library)))
    return 3 if found.failed else 0


def search(
    queries: list[str],
    *,
    library: str,
    checkpoint: str | None = None,
    start: float | str = 0.0,
    end: float | str | None = None,
    top: int = 20,
    min_score: float | None = None,
    json: str | None = None,
    html: str | None = None,
    weights: str | None = None,
    seconds_per_step: float | None = None,
    cache: str | None = None,
) -> int:
    """Find all moments of a library that show what a clip shows.

    Several clips of one action are asked together; of a moment that several find, the best score counts.

    Args:
        queries: videos, .npy files of features, or names of videos in the library, that show the action.
        library: folder of `vreloc index`.
        checkpoint: folder of a model trained on such features; by default, on poses, the network that comes
            with the package, mgffnet, and on others a rule that needs no training.
        start: where the action begins in a single query, in seconds or as a clock time, 0:01:05.5.
        end: where it ends; by default the end of the query.
        top: number of moments, at most.
        min_score: leave out moments with lower scores.
        json: JSON file to write, which `vreloc cut` reads.
        html: page to write, with a picture and a clip of each moment, to filter and to judge.
        weights: those of the library's extractor, as `vreloc weights` keeps them.
        seconds_per_step: duration of one step of .npy features, in seconds; by default as in the library.
        cache: folder where features are kept; by default in the user's cache.

    Example:
        vreloc search goal.mp4 --library season --top 20 --json found.json --html found.html
    """
    from vreloc_pyg.answers.found_page import write_found_page
    from vreloc_pyg.answers.outputs import check_outputs
    from vreloc_pyg.answers.table import moment_table
    from vreloc_pyg.clock import parse_time
    from vreloc_pyg.commands.options import ReadingBar
    from vreloc_pyg.errors import SettingsError
    from vreloc_pyg.library.asking import LibrarySearch
    from vreloc_pyg.moments import save_moments

    outputs = check_outputs(queries, {"json": json, "html": html})
    if not queries:
        raise SettingsError("Name a query: a video, a .npy file, or a name in the library")
    searched = LibrarySearch(library, checkpoint, None, weights, cache)
    part = parse_time(start), None if end is None else parse_time(end)
    with ReadingBar() as bar:
        answer = searched.ask(queries, part, top, min_score, seconds_per_step, bar)
    for note in answer.notes:
        print(f"Note: {note}")
    lines = moment_table(answer.moments, videos=True) if answer.moments else ["No moment has that score."]
    print("\n".join(lines))
    if "json" in outputs:
        print(f"Written to {save_moments(outputs['json'], answer.moments, answer.about)}")
    if "html" in outputs:
        print(f"Written to {write_found_page(outputs['html'], answer)}")
    return 0
