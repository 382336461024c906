"""``vreloc cut``: moments as clips."""

from __future__ import annotations


def cut(results: str, *, output: str) -> int:
    """Cut the moments that `vreloc search` found out of their videos; exit code 3 if some cannot be cut.

    Args:
        results: JSON file of moments, as `vreloc search --json` writes it.
        output: folder for the clips; what is there stays as it is.

    Example:
        vreloc cut found.json --output clips
    """
    from pathlib import Path

    from vreloc_pyg.answers.cutting import cut_moments, marks_of
    from vreloc_pyg.answers.outputs import check_writable
    from vreloc_pyg.errors import DataError
    from vreloc_pyg.moments import load_moments

    moments, marks = load_moments(results), marks_of(results)
    check_writable(Path(output) / "clip.mp4")
    if Path(output).exists() and not Path(output).is_dir():
        raise DataError(f"Cannot write clips to {output}: it is no folder")
    failed = 0
    for one, place, why in cut_moments(moments, output, marks):
        failed += why is not None
        print(f"Written to {place}" if why is None else f"Left out {one.video}: {why}")
    print(f"{len(moments) - failed} of {len(moments)} moments cut")
    return 3 if failed else 0
