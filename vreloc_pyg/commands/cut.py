"""``vreloc cut``: moments as clips."""

from __future__ import annotations


def cut(results: str, *, output: str, all: bool = False) -> int:
    """Cut the moments that were found out of their videos; exit code 3 if some cannot be cut.

    Args:
        results: JSON file of `vreloc search` or of `vreloc locate`, or one that their pages export.
        output: folder for the clips; what is there stays as it is.
        all: also moments that are called "not found".

    Example:
        vreloc cut found.json --output clips
    """
    from pathlib import Path

    from vreloc_pyg.answers.cutting import cut_moments
    from vreloc_pyg.answers.outputs import check_writable
    from vreloc_pyg.answers.results import load_results
    from vreloc_pyg.errors import DataError

    found, about = load_results(results)
    moments = found if all else [one for one in found if one.verdict != "not found"]
    check_writable(Path(output) / "clip.mp4")
    if Path(output).exists() and not Path(output).is_dir():
        raise DataError(f"Cannot write clips to {output}: it is no folder")
    failed = 0
    for one, place, why in cut_moments(moments, output, about):
        failed += why is not None
        print(f"Written to {place}" if why is None else f"Left out {one.video}: {why}")
    print(f"{len(moments) - failed} of {len(moments)} moments cut")
    if len(found) > len(moments):
        print(f"{len(found) - len(moments)} more are called not found; --all cuts them too")
    return 3 if failed else 0
