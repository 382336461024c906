"""From a command's signature to its parser and its help."""

from __future__ import annotations

import inspect
import re
import textwrap
from argparse import SUPPRESS
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, NoReturn, Union, get_args, get_origin, get_type_hints

from jsonargparse import ActionConfigFile, ArgumentParser

from vreloc_pyg.commands.listing import WIDTH, documented, entry, filled
from vreloc_pyg.commands.options import Override
from vreloc_pyg.errors import DataError, SettingsError
from vreloc_pyg.files import read_text

MISSING = inspect.Parameter.empty


class Option(NamedTuple):
    """An argument of a command.

    Args:
        name: as in Python.
        hint: its type.
        default: or ``MISSING``, if it must be given.
        text: what it means.
        positional: given by its place: what stands before the ``*`` of a signature.
    """

    name: str
    hint: Any
    default: Any
    text: str
    positional: bool

    @property
    def spelled(self) -> str:
        """As on a command line."""
        if self.positional:
            several = "..." if get_origin(self.hint) is list else ""
            return (
                self.name.upper() + several if self.default is MISSING else f"[{self.name.upper()}{several}]"
            )
        return "--" + self.name.replace("_", "-")


def options_of(command: Callable[..., Any]) -> list[Option]:
    """The arguments of a function; a dataclass among them is given by its fields."""
    found, inner = [], []
    texts, hints = documented(inspect.getdoc(command)), get_type_hints(command)
    for name, parameter in inspect.signature(command).parameters.items():
        hint: Any = hints[name]
        if inspect.isclass(hint) and is_dataclass(hint):
            inner += [one._replace(positional=False) for one in options_of(hint)]
            continue
        positional = parameter.kind is not parameter.KEYWORD_ONLY
        found.append(Option(name, hint, parameter.default, texts.get(name, ""), positional))
    return found + inner


def check_settings_file(path: str) -> None:
    """Raise :class:`DataError` unless a file holds YAML that is read in bounded time and memory.

    Aliases, which can stand for 10^9 values in a few lines, and numbers of hundreds of digits are refused.
    """
    import yaml

    try:
        for token in yaml.scan(read_text(path)):
            where = f"{path}, line {token.start_mark.line + 1}"
            if isinstance(token, yaml.AliasToken):
                raise DataError(f"{where}: settings are written out, without aliases such as *{token.value}")
            if isinstance(token, yaml.ScalarToken) and re.fullmatch(r"[-+]?[\d_]{200,}", token.value):
                raise DataError(f"{where}: a number of {len(token.value)} digits is no setting")
    except yaml.YAMLError as error:
        raise DataError(f"Cannot read the settings {path}: {' '.join(str(error).split())}") from None


class CommandParser(ArgumentParser):
    """Reads the arguments of one command; ``--config`` names a YAML file of them.

    Raises:
        SettingsError: for arguments that cannot be read, in one line.
    """

    def __init__(self, name: str, command: Callable[..., Any]) -> None:
        super().__init__(prog=f"vreloc {name}", add_help=False, allow_abbrev=False)
        self.command, self.options = command, {one.name: one for one in options_of(command)}
        self.add_argument("--config", action=ActionConfigFile)
        for one in self.options.values():
            given: dict[str, Any] = {"type": one.hint}
            if one.positional:  # what is not given may be in the file
                several = get_origin(one.hint) is list
                given |= {"nargs": "*" if several else "?", "default": SUPPRESS}
                given["type"] = get_args(one.hint)[0] if several else one.hint
            elif one.default is MISSING:
                given |= {"required": True}
            else:
                given |= {"default": one.default}
            action = self.add_argument(one.name if one.positional else f"--{one.name}", **given)
            if one.hint is bool:  # --quick is --quick true
                action.nargs, action.const = "?", True

    def read(self, arguments: Sequence[str]) -> dict[str, Any]:
        """The values of all options, by name."""
        configs: list[str] = []
        others: list[str] = []
        for word in map(self._python_spelling, arguments):
            into = configs if word.startswith("--config=") or configs[-1:] == ["--config"] else others
            (configs if word == "--config" else into).append(word)
        for path in (word.removeprefix("--config=") for word in configs):
            if path != "--config":
                check_settings_file(path)
        parsed = self.parse_args([*configs, *others])  # so that arguments override the file
        values: dict[str, Any] = parsed.as_dict()
        values.pop("config")
        for one in self.options.values():
            if one.positional and values.setdefault(one.name, one.default) is MISSING:
                self.error(f"{one.spelled} is missing")
        return values

    def _python_spelling(self, word: str) -> str:
        """``--max-pairs=3`` with the underscore that Python has; names that users give keep their dashes."""
        if not word.startswith("--"):
            return word
        key, equals, value = word[2:].partition("=")
        option, dot, rest = key.partition(".")
        option = option.replace("-", "_")
        if option in self.options and Override in get_args(self.options[option].hint):
            rest = rest.replace("-", "_")
        return f"--{option}{dot}{rest}{equals}{value}"

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise what is wrong in one line, with a hint."""
        hint = f"`{self.prog} --help` lists the arguments"
        if match := re.search(r'^Parser key "(\w+)[^"]*":.*(?:Got|Given) value: (.*)', message, re.DOTALL):
            one = self.options.get(match[1])
            if one is not None:
                close = get_close_matches(match[2], map(str, _choices(one.hint)), 1)
                hint = f"did you mean {close[0]}?" if close else hint
                message = f"expected {one.spelled} as {type_name(one.hint)} (got {match[2]!r})"
        elif match := re.search(r"^unrecognized arguments: (\S+)|^Option '(\w+)'", message):
            word = (match[1] or match[2]).partition("=")[0].replace("_", "-")
            known = [one.spelled for one in self.options.values() if not one.positional]
            close = get_close_matches(word if match[1] else f"--{word}", known, 1)
            hint = f"did you mean {close[0]}?" if close else hint
            message = f"unknown argument {word if match[1] else match[2]!r}"
        elif match := re.search(r"^the following arguments are required: (\w+)", message):
            message = f"{self.options[match[1]].spelled} is missing"
        message = re.sub(r"--\w+", lambda found: found[0].replace("_", "-"), " ".join(message.split()))
        raise SettingsError(f"{message[:1].upper()}{message[1:]}; {hint}") from ex

    def help(self, further: Sequence[str] = ()) -> str:
        """What the command does, its arguments, further lists, and an example."""
        about, example = described(self.command)
        places = " ".join(one.spelled for one in self.options.values() if one.positional)
        lines = [f"usage: {self.prog} {places}".rstrip() + " [options]", ""]
        lines += [textwrap.fill(part, WIDTH, break_on_hyphens=False) + "\n" for part in about]
        lines += [entry(*_explained(one)) for one in self.options.values()]
        lines += [entry("--config FILE", "YAML file of arguments, as a command writes it beside its output.")]
        lines += [f"\n{text}" for text in further]
        return "\n".join([*lines, "\nExample:", f"  {example}"])


def described(command: Callable[..., Any]) -> tuple[list[str], str]:
    """Paragraphs of a docstring before its arguments, and its example."""
    text = inspect.getdoc(command) or ""
    about, _, rest = text.partition("\n\nArgs:")
    _, _, example = rest.partition("Example:\n")
    return [" ".join(part.split()) for part in about.split("\n\n")], " ".join(example.split())


def _explained(one: Option) -> tuple[str, str]:
    head = one.spelled
    if not one.positional and one.hint is not bool:
        head += f" {one.name.rpartition('_')[2].upper()}"
    notes = [] if one.hint in (str, str | None) else [type_name(one.hint)]
    if one.default is MISSING:
        notes += [] if one.positional else ["must be given"]
    elif one.default is not None:
        notes += [f"default {one.default}"]
    return head, filled(one.text).rstrip(".") + (f" ({', '.join(notes)})" if notes else "")


def _choices(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) is Literal else ()


def type_name(hint: Any) -> str:
    """A type in words."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(type_name(part) for part in parts if part is not NoneType)
    if origin is Literal:
        return " | ".join(map(str, parts))
    if origin is list:
        return f"list of {type_name(parts[0])}"
    if origin is dict:
        return "settings"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(hint, str(hint))
