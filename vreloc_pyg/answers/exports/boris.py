"""Moments as a project of BORIS, an observation a video.

Source: https://www.boris.unito.it/user_guide/ and ``config.py`` of the program, project format 7.0.
"""

from __future__ import annotations

import json
from string import ascii_lowercase
from typing import Any

from vreloc_pyg.answers.exports.content import Content, ExportFormat, lanes, one_line
from vreloc_pyg.moments import Moment

DATE = "2000-01-01T00:00:00"  # the same moments give the same file


def write(content: Content) -> str:
    """Every label is a state event, which begins and ends, in milliseconds.

    BORIS pairs begins and ends of one behaviour of one subject in turn. So those that overlap are of further
    subjects.
    """
    observations = {one_line(video): _observation(content, video) for video in content.videos}
    labels = list(dict.fromkeys(map(content.label, content.moments)))
    events = [event for one in observations.values() for event in one["events"]]
    subjects = sorted({event[1] for event in events} - {""})
    project = {
        "time_format": "s",
        "project_date": DATE,
        "project_name": "moments",
        "project_description": "",
        "project_format_version": "7.0",
        "subjects_conf": {
            str(i): {"key": "", "name": name, "description": "overlaps others"}
            for i, name in enumerate(subjects)
        },
        "behaviors_conf": {str(i): _behaviour(label, i) for i, label in enumerate(labels)},
        "observations": observations,
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    return json.dumps(project, indent=1) + "\n"


def _behaviour(label: str, number: int) -> dict[str, Any]:
    return {
        "type": "State event",
        "key": ascii_lowercase[number % 26],
        "code": label,
        "description": "",
        "color": "",
        "category": "",
        "modifiers": {},
        "excluded": "",
        "coding map": "",
    }


def _observation(content: Content, video: str) -> dict[str, Any]:
    facts = content.facts.get(video)
    lasting = None if facts is None else facts.duration_s
    about: dict[str, Any] = {"hasVideo": {video: True}, "hasAudio": {video: False}, "offset": {"1": 0.0}}
    about["length"] = {} if lasting is None else {video: lasting}
    about["fps"] = {} if facts is None else {video: float(facts.rate)}
    return {
        "file": {str(player): [video] if player == 1 else [] for player in range(1, 9)},
        "type": "MEDIA",
        "date": DATE,
        "description": "",
        "time offset": 0.0,
        "events": _events(content, video),
        "observation time interval": [0, 0],
        "independent_variables": {},
        "visualize_spectrogram": False,
        "close_behaviors_between_videos": False,
        "media_info": about,
    }


def _events(content: Content, video: str) -> list[list[Any]]:
    """``[time, subject, code, modifier, comment]``; an end stands before the begin of the same time."""
    by_label: dict[str, list[Moment]] = {}
    for one in content.of(video):
        by_label.setdefault(content.label(one), []).append(one)
    found: list[tuple[float, bool, list[Any]]] = []
    for label, ours in by_label.items():
        timed = []
        for one in ours:
            begin, end = round(1000 * one.start_s), round(1000 * one.end_s)
            timed.append((float(begin), float(max(end, begin + 1)), one))
        for number, lane in enumerate(lanes(timed)):
            subject = f"#{number + 1}" if number else ""
            for start, stop, one in lane:
                comment = f"score {one.score:g}" + (f", {one.verdict}" if one.verdict else "")
                found.append((start, True, [start / 1000, subject, label, "", comment]))
                found.append((stop, False, [stop / 1000, subject, label, "", ""]))
    return [event for _, _, event in sorted(found, key=lambda one: one[:2])]


BORIS = ExportFormat(write)
