"""Mutations of files: a valid one with some of it wrong."""

from __future__ import annotations

import copy
import json
import random
import re
import struct
from collections.abc import Callable
from typing import Any

#: What one valid input consists of: content by the file's place in its folder.
Files = dict[str, bytes]

#: Whole numbers at the edges of types.
EDGES = (
    0,
    1,
    -1,
    2,
    127,
    128,
    255,
    256,
    32767,
    65535,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**63 - 1,
    -(2**31),
)
#: Characters of a changed text, at most: small inputs are judged quickly, and show as much.
MOST_TEXT = 2**18
#: Words that a text may hold where a number or a name is expected.
WORDS = (
    "", "nan", "NaN", "inf", "-inf", "Infinity", "1e308", "1e999", "-1e999", "1e-320", "-1", "0", "-0", "1_0", "٣",  # noqa: E501
    "9" * 25, "9" * 5000, "0x10", "1.5", "true", "null", "None", "[]", "{}", '"', "'", "\\", ";", ":", ",", ",,", "#",  # noqa: E501
    "\x00", "\ufeff", "\u2028", "\x1b[2J", "é", "\U0001f600", "../..", "/etc/passwd", "a" * 300, "%s", "*a", "&a [*a]",  # noqa: E501
    "!!python/object:os.system", "\r", "\n", "\r\n", "\t", "[" * 3000, "1:2:3:4", "::", "- - -", "? :", "2001-01-01",  # noqa: E501
)  # fmt: skip
#: Values that JSON may hold where others are expected.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 0.5, -0.5, 1e308, -1e308, 10**7, 2**31, 2**63, 2**64, 10**30, 10**400,
    float("nan"), float("inf"), -float("inf"), "", "a", "nan", "mgffnet", "\x00", "\ud800", "a" * 300, "../..",  # noqa: E501
    [], [[]], {}, [None], [1, 2], ["a", "b"], [0, 0, 0], {"a": 1}, [[1, 2], [3]], [float("nan")] * 2, {"": {}},  # noqa: E501
)  # fmt: skip


def bytes_changed(content: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Bytes with one to several changes; ``others`` lend parts."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        size = len(data)
        # Headers decide more than what follows them: half of all changes are among the first bytes.
        at = rng.randrange(min(size, 256) if rng.random() < 0.5 else size) if size else 0
        kind = rng.randrange(10)
        if kind == 0 and size:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and size:
            data[at] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        elif kind in (2, 3):
            width = rng.choice("bBhHiIqQ")
            edge = rng.choice(EDGES) & (2 ** (8 * struct.calcsize(width)) - 1)
            packed = struct.pack(rng.choice("<>") + width.upper(), edge)
            data[at : at + len(packed)] = packed
        elif kind == 4:
            del data[at : at + rng.choice((1, 2, 4, 16, 256, max(1, size // 3)))]
        elif kind == 5:
            data[at:at] = data[at : at + rng.choice((1, 4, 16, 256))] * rng.choice((1, 2, 20))
        elif kind == 6:
            data[at:at] = rng.randbytes(rng.choice((1, 4, 16, 64)))
        elif kind == 7:
            del data[at:]
        elif kind == 8 and others:
            other = rng.choice(others)
            start = rng.randrange(len(other)) if other else 0
            data[at : at + rng.choice((8, 64, 512))] = other[start : start + rng.choice((8, 64, 512))]
        elif kind == 9:
            length = rng.choice((4, 16, 128))
            data[at : at + length] = bytes((rng.choice((0, 255)),)) * length
    return bytes(data)


def text_changed(content: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Text with words, numbers or lines replaced, moved or repeated."""
    text = content.decode("utf-8", "surrogateescape")
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        kind = rng.randrange(7)
        places = list(re.finditer(r"[^\s,;:=\[\]{}\"]+", text))
        lines = text.splitlines(keepends=True)
        if kind in (0, 1, 2) and places:
            one = rng.choice(places)
            text = text[: one.start()] + rng.choice(WORDS) + text[one.end() :]
        elif kind == 3 and places:
            one, other = rng.choice(places), rng.choice(places)
            text = text[: one.start()] + other[0] + text[one.end() :]
        elif kind == 4 and lines:
            at = rng.randrange(len(lines))
            lines[at : at + 1] = rng.choice(
                ([], [lines[at]] * 2, [lines[at]] * 500, [rng.choice(lines), lines[at]])
            )
            text = "".join(lines)[:MOST_TEXT]
        elif kind == 5:
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice(WORDS) + text[at:]
        elif kind == 6:
            at = rng.randrange(len(text) + 1)
            text = text[:at] + text[at + rng.choice((1, 1, 2, 10, 10**6)) :]
    return text[:MOST_TEXT].encode("utf-8", "surrogateescape")


def json_changed(content: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """JSON with some values, keys or lengths other than they were."""
    values = json.loads(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        holders = [one for one in _containers(values) if one]
        if not holders:
            break
        holder = rng.choice(holders)
        key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        kind = rng.randrange(8)
        if kind < 4:
            holder[key] = copy.deepcopy(rng.choice(VALUES))
        elif kind == 4:
            del holder[key]
        elif kind == 5:
            if isinstance(holder, dict):
                holder[rng.choice(("", "x", "features", f"{key}s"))] = copy.deepcopy(holder[key])
            else:
                holder[key] = copy.deepcopy(rng.choice(holder))
        elif kind == 6 and isinstance(holder[key], (int, float)):
            holder[key] = rng.choice((-holder[key], holder[key] * 10**6, holder[key] + 0.5, str(holder[key])))
        else:
            holder[key] = [copy.deepcopy(holder[key])] * rng.choice((1, 2, 300))
    return json.dumps(values).encode("utf-8", "surrogatepass")


def _containers(value: Any) -> list[Any]:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value] if isinstance(value, (dict, list)) else []
    return own + [one for part in inside for one in _containers(part)]


#: How the content of a file is changed, by what the file is.
CHANGES: dict[str, list[Callable[[bytes, random.Random, list[bytes]], bytes]]] = {
    ".json": [json_changed, json_changed, text_changed, bytes_changed],
    **{suffix: [text_changed, text_changed, bytes_changed] for suffix in (".csv", ".txt", ".yaml", ".xml")},
}


def mutate(seeds: list[Files], rng: random.Random, layers: dict[str, Any]) -> Files:
    """One of the seeds with one of its files changed.

    Args:
        seeds: valid inputs.
        rng: decides everything.
        layers: by the suffix of a file, ``(open, close)`` of what it is packed in: mostly its content is
        changed and
            packed again, so that checksums and compression do not keep every change out.
    """
    files = dict(rng.choice(seeds))
    name = rng.choice(sorted(files))
    suffix = "." + name.partition(".")[2]
    others = [content for seed in seeds for content in seed.values()]
    if suffix in layers and rng.random() < 0.75:
        opened, closed = layers[suffix]
        try:
            parts: Files = opened(files[name])
            inner = rng.choice(sorted(parts))
            parts[inner] = _changed(inner, parts[inner], rng, list(parts.values()))
            files[name] = closed(parts)
            return files
        except (ValueError, KeyError, struct.error):
            pass  # what it was changed to cannot be packed
    files[name] = _changed(name, files[name], rng, others)
    return files


def _changed(name: str, content: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    suffix = "." + name.rpartition(".")[2]
    try:
        return rng.choice(CHANGES.get(suffix, [bytes_changed]))(content, rng, others)
    except (ValueError, OverflowError):  # what is no JSON any more, or a number that is too large
        return bytes_changed(content, rng, others)
