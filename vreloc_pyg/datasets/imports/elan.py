"""Annotation documents of ELAN, read through pympi."""

from __future__ import annotations

from vreloc_pyg.datasets.imports.action import Reading
from vreloc_pyg.errors import MissingExtraError


def read_elan(reading: Reading) -> None:
    """Every annotation that has times of its own; its label is its value, or else the name of its tier.

    The document must have been looked through with :func:`.parse_xml` first.
    """
    try:
        from pympi.Elan import Eaf
    except ImportError:
        raise MissingExtraError(
            "ELAN's files are read with pympi: pip install 'vreloc_pyg[exports]'"
        ) from None
    try:
        document = Eaf(str(reading.path), suppress_version_warning=True)
        linked = [one["MEDIA_URL"] for one in document.get_linked_files()]
        found = {
            tier: [(*(document.timeslots[slot] for slot in one[:2]), one[2]) for one in parts[0].values()]
            for tier, parts in document.tiers.items()
        }
    except Exception as error:  # pympi raises just that, or whatever it stumbles over
        raise reading.bad("the document", f"is no annotation document of ELAN: {error!r}") from None
    video = linked[0] if linked else reading.path.stem
    for tier, timed in found.items():
        for number, (start, end, value) in enumerate(timed, start=1):
            where = f"tier {tier!r}, annotation {number}"
            if start is None or end is None:
                reading.notes.add("annotations without times of their own, left out", where)
                continue
            reading.add(video, start / 1000, end / 1000, value.strip() or tier, where)
