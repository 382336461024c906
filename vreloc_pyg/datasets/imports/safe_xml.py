"""XML that is read in bounded time and memory, with the line of every element."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from vreloc_pyg.errors import DataError

#: Elements within each other, at most.
DEEPEST = 64


def parse_xml(text: str, path: str | Path) -> tuple[Element, dict[Element, int]]:
    """The root of a document and the line of each element.

    Raises:
        DataError: with the line, if it is no XML, declares a document type (entities of which may stand for
            gigabytes, or for other files), or is nested too deep.
    """
    builder, lines, depth = TreeBuilder(), dict[Element, int](), 0
    parser = expat.ParserCreate(namespace_separator=None)
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        where = f"{path}, line {parser.CurrentLineNumber}"
        raise DataError(f"{where}: a document type is declared, which annotations do not need: remove it")

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise DataError(f"{path}, line {parser.CurrentLineNumber}: elements are nested too deep")
        lines[builder.start(tag, attributes)] = parser.CurrentLineNumber

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(text.encode("utf-8"), True)
    except expat.ExpatError as error:
        raise DataError(f"{path}, line {error.lineno}: {expat.ErrorString(error.code)}; no XML") from None
    except DataError:
        raise
    except (LookupError, ValueError) as error:  # of the encoding that it declares
        raise DataError(f"Cannot read {path}: {error}") from None
    root: Element = builder.close()
    return root, lines
