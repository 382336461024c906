"""``vreloc export`` and ``import-annotations``: to other tools, and back."""

from __future__ import annotations


def export(
    found: str,
    *,
    output: str,
    format: str | None = None,
    video: str | None = None,
    label: str = "match",
    top: int | None = None,
    frame_rate: str | None = None,
) -> None:
    """Write results in the format of a player, an editor or an annotation tool.

    Formats that count frames read the frame rate of the videos, which must be where the results say. What
    the formats hold is said in docs/exports.md.

    Args:
        found: results, a JSON file of `vreloc locate --json` or of moments.
        output: file to write.
        format: one of json, csv, srt, vtt, edl, fcpxml, otio, eaf, labelstudio, cvat, boris and chapters; by
            default as the suffix of the file says.
        video: write the moments of this video alone, of results of several.
        label: label of moments that have none, in formats that need one.
        top: write so many of the best alone.
        frame_rate: frames per second of videos that are no files here, as 25, 29.97 or 30000/1001.

    Example:
        vreloc export found.json --output found.edl
    """
    from vreloc_pyg.answers.exports.formats import export_moments, format_name, load_format
    from vreloc_pyg.answers.outputs import check_outputs
    from vreloc_pyg.answers.results import load_results
    from vreloc_pyg.errors import DataError, SettingsError
    from vreloc_pyg.video.facts import parse_rate

    if top is not None and top < 1:
        raise SettingsError(f"Expected --top >= 1 (got {top})")
    load_format(format_name(output, format))
    rate = None if frame_rate is None else parse_rate(frame_rate)
    moments, about = load_results(found)
    videos = dict.fromkeys(moment.video for moment in moments)
    check_outputs([found, *videos], {"export": output})
    if video is not None:
        if video not in videos:
            raise DataError(f"{found} has no moment of {video}; it has of {', '.join(videos) or 'none'}")
        moments = [moment for moment in moments if moment.video == video]
    chosen = moments[:top]
    export_moments(output, chosen, format, about=about, unlabelled=label, rate=rate)
    print(f"{len(chosen)} moments. Written to {output}")


def import_annotations(
    annotations: str,
    *,
    output: str,
    videos: str | None = None,
    frame_rate: str | None = None,
) -> None:
    """Read annotations made or corrected in another tool into the CSV that training reads.

    Read are files of ELAN, Label Studio, CVAT, BORIS, ActivityNet, OpenTimelineIO, edit lists, and moments as
    JSON or CSV; which of them a file is, is told by what is in it.

    Args:
        annotations: a file, or a folder all of whose files are read.
        output: CSV file to write, annotations.csv of a data set of your own.
        videos: folder of the videos, for frame rates that the files do not say.
        frame_rate: frames per second of all videos, as 25, 29.97 or 30000/1001, likewise.

    Example:
        vreloc import-annotations corrected.eaf --output own/annotations.csv
    """
    from pathlib import Path

    from vreloc_pyg.answers.outputs import check_outputs
    from vreloc_pyg.datasets.imports.read import read_actions, write_annotations
    from vreloc_pyg.datasets.reading import Notes
    from vreloc_pyg.errors import DataError
    from vreloc_pyg.video.facts import parse_rate

    source = Path(annotations)
    rate = None if frame_rate is None else parse_rate(frame_rate)
    paths = [source]
    if source.is_dir():
        names = sorted(one.name for one in source.iterdir() if one.is_file())
        kept = [one for one in names if not one.startswith(".") and not one.endswith(".settings.yaml")]
        paths = [source / one for one in kept]  # a command leaves its settings beside what it writes
    check_outputs(paths, {"annotations": output})
    if videos is not None and not Path(videos).is_dir():
        raise DataError(f"There is no folder of videos {videos}")
    notes = Notes()
    actions = read_actions(paths, rate=rate, videos=videos, notes=notes)
    for note in notes.lines():
        print(f"Note: {note}")
    if not actions:
        raise DataError(f"There is no labelled stretch of video in {annotations}")
    write_annotations(Path(output), actions)
    shown = len({one.video for one in actions}), len({one.label for one in actions})
    print(f"{len(actions)} actions of {shown[1]} classes in {shown[0]} videos. Written to {output}")
