"""Tests that are run in forks of one process, which has imported the libraries once."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import os
import pickle
import resource
import shutil
import signal
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

#: What the package and its tests import, and takes seconds: once, in the process that forks.
LIBRARIES = (
    *("torch", "torch._dynamo", "torch_geometric", "torch_geometric.nn", "lightning", "scipy.optimize"),
    *("pandas", "jsonargparse", "sklearn.decomposition", "h5py", "av", "safetensors.torch", "hypothesis"),
)


@dataclass(eq=False)
class Watch:
    """A pytest plugin: runs chosen tests in order, and notes what they took, said and ran.

    Args:
        wanted: names of tests, in the order in which they are to run; ``None``: all.
        watched: folder whose files' lines are noted; ``None``: no lines.
    """

    wanted: list[str] | None = None
    watched: str | None = None
    failed: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, set[tuple[str, int]]] = field(default_factory=dict)
    fixtures: dict[str, set[tuple[str, int]]] = field(default_factory=lambda: defaultdict(set))
    _now: set[tuple[str, int]] = field(default_factory=set)

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self) -> None:
        import hypothesis

        # The same examples for every mutant, none kept from another, and none made smaller once one fails.
        usual = hypothesis.settings.get_profile("tests")
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile(
            "mutants", usual, derandomize=True, database=None, phases=phases, print_blob=False
        )
        hypothesis.settings.load_profile("mutants")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self.wanted is not None:
            place = {name: number for number, name in enumerate(self.wanted)}
            items[:] = sorted(
                (one for one in items if one.nodeid in place), key=lambda one: place[one.nodeid]
            )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        began, self._now = _processor(), set()
        if self.watched is not None:
            _forget_results()
            sys.settrace(self._call)
            threading.settrace(self._call)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            self.seconds[item.nodeid] = _processor() - began
            for name in getattr(item, "fixturenames", ()):  # made once, for the first that asks
                self._now |= self.fixtures[name]
            self.lines[item.nodeid] = self._now

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Any:
        before, self._now = self._now, set()
        try:
            return (yield)
        finally:
            self.fixtures[fixturedef.argname] |= self._now
            self._now |= before

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed.append(f"{report.nodeid}, when it was collected")

    def _call(self, frame: FrameType, event: str, _: object) -> Any:
        assert self.watched is not None
        return self._line(frame, event, _) if frame.f_code.co_filename.startswith(self.watched) else None

    def _line(self, frame: FrameType, event: str, _: object) -> Any:
        self._now.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


def run_tests(folder: Path, paths: list[str], watch: Watch, first: bool = False) -> Watch:
    """Run quick tests of a copy of the repository in this process, which can be used for nothing else then.

    Args:
        first: stop at the first that fails.
    """
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = str(folder)  # for programs that tests start
    arguments = ["-q", "-n0", "--assert=plain", "-p", "no:cacheprovider", "-m", "not slow and not very_slow"]
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        code = pytest.main([*arguments, *["-x"] * first, *paths], plugins=[watch])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED):
        watch.failed.append(f"pytest ended with {code}")
    return watch


def in_fork(work: Callable[[], Any], folder: Path, seconds: float) -> Any:
    """What a function returns that runs in a fork, or ``None`` if that ended in another way.

    Args:
        folder: where the result is handed over, and examples of Hypothesis are removed.
        seconds: of the processor that it may take.
    """
    result = folder / "result.pkl"
    result.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 3))
            signal.alarm(int(10 * seconds) + 60)  # for what waits and takes no time of the processor
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            result.write_bytes(pickle.dumps(work()))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # whatever it started
    shutil.rmtree(folder / ".hypothesis", ignore_errors=True)
    return pickle.loads(result.read_bytes()) if result.exists() else None


def import_libraries() -> None:
    """Import what forks need, but nothing of the package."""
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # forks do not look through all this


def _forget_results() -> None:
    """Empty caches, so that every test runs the lines that it needs."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("vreloc_pyg", "tests")):
            for value in list(vars(module).values()):
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()


def _processor() -> float:
    """Seconds of the processor that this process and its programs took."""
    return sum(os.times()[:4])
