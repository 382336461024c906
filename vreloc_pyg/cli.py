"""The command ``vreloc``: starts one of the functions in :mod:`vreloc_pyg.commands`."""

from __future__ import annotations

import inspect
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import vreloc_pyg
from vreloc_pyg.errors import SettingsError, VrelocError

if TYPE_CHECKING:
    from vreloc_pyg.commands.parser import CommandParser

#: The module of :mod:`vreloc_pyg.commands` where the function of each command's name is.
COMMANDS = {
    "demo": "demo",
    "train": "train",
    "evaluate": "evaluate",
    "locate": "locate",
    "serve": "locate",
    "export": "exchange",
    "import-annotations": "exchange",
    "index": "library",
    "search": "library",
    "cut": "cut",
    "features": "features",
    "merge": "features",
    "pca": "features",
    "weights": "features",
    "validate": "annotations",
    "split": "annotations",
    "train-actionness": "train_actionness",
    "proposals": "proposals",
    "benchmark": "benchmark",
    "results": "benchmark",
    "ablate": "benchmark",
    "audit": "benchmark",
    "phenomenon": "phenomenon",
    "systems": "systems",
    "plot-graph": "plot_graph",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``vreloc``; returns its exit code: 2 after a line that says what was wrong with the input."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    who = "vreloc"
    try:
        if words[:1] in (["-h"], ["--help"]):
            print(overview())
            code = 0
        elif words[:1] == ["--version"]:
            print(f"vreloc {vreloc_pyg.__version__}")
            code = 0
        else:
            name = find_command(words)
            who = f"vreloc {name}"
            code = _run(name, words[1:])
        sys.stdout.flush()  # a closed pipe is noticed here, not when Python ends
        return code
    except BrokenPipeError:  # whoever read the output has gone; nothing may be written when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (KeyboardInterrupt, SystemExit) as ended:
        # Lightning ends the program where it was interrupted.
        if isinstance(ended, SystemExit) and not isinstance(ended.__context__, KeyboardInterrupt):
            raise
        print(f"\n{who}: interrupted", file=sys.stderr)
        return 130
    except VrelocError as error:
        print(f"{who}: {error}", file=sys.stderr)
    except OSError as error:
        where = "" if error.filename is None else f": {error.filename}"
        print(f"{who}: {error.strerror or error}{where}", file=sys.stderr)
    return 2


def find_command(words: Sequence[str]) -> str:
    """The command that is meant by the first word.

    Raises:
        SettingsError: if there is none.
    """
    name = words[0].replace("_", "-") if words else ""
    if name not in COMMANDS:
        close = get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {close[0]}?" if close else "`vreloc --help` lists the commands"
        raise SettingsError(f"Unknown command {words[0]!r}; {hint}" if words else f"Name a command; {hint}")
    return name


def make_parser(name: str) -> CommandParser:
    """The parser of a command."""
    from vreloc_pyg.commands.parser import CommandParser

    return CommandParser(name, load_command(name))


def load_command(name: str) -> Callable[..., int | None]:
    """The function of a command."""
    module = import_module(f"vreloc_pyg.commands.{COMMANDS[name]}")
    function: Callable[..., int | None] = getattr(module, name.replace("-", "_"))
    return function


def overview() -> str:
    """The help of ``vreloc`` itself."""
    from vreloc_pyg.commands.listing import entry
    from vreloc_pyg.commands.parser import described

    lines = ["usage: vreloc COMMAND [arguments]", "", str(vreloc_pyg.__doc__), ""]
    lines += [entry(name, described(load_command(name))[0][0]) for name in COMMANDS]
    return "\n".join([*lines, "\n`vreloc COMMAND --help` says more. Example:", "  vreloc demo"])


def _run(name: str, words: Sequence[str]) -> int:
    parser = make_parser(name)
    command = parser.command
    if {"-h", "--help"} & set(words):
        further = getattr(sys.modules[command.__module__], "further_help", list)
        chosen = [word.removeprefix("--system=") for word in words if word.startswith("--system=")]
        chosen += [word for before, word in pairwise(words) if before == "--system"]
        print(parser.help(further(*chosen[-1:])))
        return 0
    values = parser.read(words)
    _quiet_libraries()
    with _recorded(name, values):
        return command(**_arguments(command, values)) or 0


def _arguments(command: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by parameter: what is given by the fields of a dataclass is put together."""
    hints, given = get_type_hints(command), dict(values)
    for name in inspect.signature(command).parameters:
        if is_dataclass(hints[name]):
            kind: Any = hints[name]
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
    return given


@contextmanager
def _recorded(name: str, values: Mapping[str, Any]) -> Iterator[None]:
    """Keep the settings of a command beside what it writes, in the form that ``--config`` reads.

    A command that fails before it wrote anything leaves nothing: no settings, and no folder.
    """
    if values.get("output") is None:
        yield
        return
    place, succeeded = Path(values["output"]), False
    before, absent = _content(place), [one for one in (place, *place.parents) if not one.exists()]
    try:
        yield
        succeeded = True
    finally:
        if succeeded or _content(place) - before:
            import yaml

            from vreloc_pyg.files import write_text

            beside = place.suffix or place.is_file()
            kept = place.with_name(f"{place.stem}.settings.yaml") if beside else place / f"{name}.yaml"
            write_text(kept, yaml.safe_dump(dict(values), sort_keys=False))
        for folder in absent:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _content(folder: Path) -> set[Path]:
    return set(folder.iterdir()) if folder.is_dir() else set()


def _quiet_libraries() -> None:
    """Leave progress bars and results on the screen, not the libraries' hints."""
    for part in ("pytorch", "fabric"):  # not its parent, whose level is set anew by its import
        logging.getLogger(f"lightning.{part}.utilities.rank_zero").setLevel(logging.ERROR)
    if "PYTHONWARNINGS" not in os.environ and not sys.warnoptions:
        warnings.simplefilter("ignore")
