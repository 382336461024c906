"""Moments as an annotation document of ELAN, through pympi.

Source: https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf
"""

from __future__ import annotations

from mimetypes import guess_type

from vreloc_pyg.answers.exports.content import Content, ExportFormat, address, lanes

TIER = "actions"


def write(content: Content) -> str:
    """A tier of labels in milliseconds; moments that overlap stand on further tiers, as ELAN wants it."""
    from pympi.Elan import Eaf, to_string

    document = Eaf(author="vreloc_pyg")
    document.remove_tier("default")
    for video in content.videos:
        document.add_linked_file(address(video), mimetype=guess_type(video)[0] or "video/*")
    timed = []
    for one in content.moments:
        begin, end = round(1000 * one.start_s), round(1000 * one.end_s)
        timed.append((float(begin), float(max(end, begin + 1)), one))
    for number, lane in enumerate(lanes(timed) or [[]], start=1):
        tier = TIER if number == 1 else f"{TIER} {number}"
        document.add_tier(tier)
        for start, stop, one in lane:
            document.add_annotation(tier, round(start), round(stop), content.label(one))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{to_string(document)}\n'


EAF = ExportFormat(write, one_video=True, packages=("pympi",))
