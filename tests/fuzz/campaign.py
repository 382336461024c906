"""Mutated inputs for every parser, each with a limit of time and memory: only our own errors may leave.

``python -m tests.fuzz.campaign --inputs 20000`` runs them over all doors; what was found is printed with the
numbers that make it again: ``--door NAME --first N --inputs 1``.
"""

from __future__ import annotations

import argparse
import ctypes
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from threading import RLock
from typing import Any

from tqdm import tqdm

from tests.fuzz.mutate import Files, mutate
from vreloc_pyg.errors import VrelocError

#: Of one input: processor seconds, seconds, and bytes that may be allocated; more than the last cannot be
#: had at all.
CPU_S, WALL_S, MOST_BYTES, BYTES_TO_HAVE = 10, 60, 512 * 2**20, 3 * 2**30


@dataclass(frozen=True)
class Door:
    """A parser.

    Args:
        name: for the command line.
        seeds: makes valid inputs in an empty folder.
        read: what is done with an input in a folder; it may raise :class:`VrelocError` and nothing else.
        layers: see :func:`.mutate`.
        share: inputs in comparison with other doors; less where one takes long.
    """

    name: str
    seeds: Callable[[Path], list[Files]]
    read: Callable[[Path], object]
    layers: dict[str, Any] = field(default_factory=dict)
    share: float = 1.0


@dataclass(frozen=True)
class Fault:
    """An input that ended in another way than it may: which, how, and where."""

    door: str
    number: int
    kind: str
    text: str


def input_of(door: Door, seeds: list[Files], number: int, seed: int = 0) -> Files:
    """Input ``number`` of a door; the first are the seeds themselves."""
    if number < len(seeds):
        return seeds[number]
    return mutate(seeds, random.Random(f"{seed} {door.name} {number}"), door.layers)


def write_input(folder: Path, files: Files) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def judge(door: Door, files: Files, folder: Path) -> tuple[str, str]:
    """How an input ended: ``ok``, ``refused``, or a fault and what it says; in this process."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_input(folder, files)
    before, peak = _memory("VmSize"), _memory("VmPeak")
    kind, text = "ok", ""
    try:
        door.read(folder)
    except VrelocError as error:
        kind = "refused"
        if _any_memory_error(error):
            kind, text = "allocation", _where(error)
    except BaseException as error:  # whatever leaves, interrupts and exits included
        kind, text = type(error).__name__, _where(error)
    after = _memory("VmPeak")
    if after > peak and after - before > MOST_BYTES:
        kind, text = "allocation", f"{(after - before) >> 20} MiB; {text}"
    return kind, text


def _any_memory_error(error: BaseException | None) -> bool:
    """Whether a lack of memory is behind an error."""
    while error is not None:
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _where(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in last if "vreloc_pyg" in frame.filename] or last
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno} {ours[-1].name}" if ours else ""
    return f"{place}: {type(error).__name__}: {str(error)[:160]!r}"


def _memory(key: str) -> int:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def _work(door: Door, seeds: list[Files], numbers: range, seed: int, folder: Path, pipe: Connection) -> None:
    """In a process of its own, which a time limit ends whatever it is in."""
    os.nice(10)
    import torch

    tqdm.set_lock(RLock())  # tqdm's own is shared with the process that goes on when this one is killed
    torch.set_num_threads(1)  # threads of the process that was forked are not here, and would be waited for
    nowhere = os.open(os.devnull, os.O_WRONLY)
    said = os.dup(2)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    ctypes.CDLL(None).mallopt(-8, 1)  # one arena: threads would else claim 64 MiB of addresses each
    judge(door, seeds[0], folder)  # what libraries take when they are first used is not the input's
    most = _memory("VmSize") + BYTES_TO_HAVE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for number in numbers:
        pipe.send((number, "begun", ""))
        try:
            files = input_of(door, seeds, number, seed)
        except Exception:
            os.write(said, traceback.format_exc().encode())
            os._exit(1)
        signal.setitimer(signal.ITIMER_PROF, CPU_S)
        signal.setitimer(signal.ITIMER_REAL, WALL_S)
        kind, text = judge(door, files, folder)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        pipe.send((number, kind, text))
        if kind == "allocation":
            break  # the peak of a process never falls again: the next begins in another
    pipe.close()
    os._exit(0)


def run_door(
    door: Door, count: int, seed: int = 0, first: int = 0, until: float = float("inf")
) -> tuple[Counter[str], list[Fault]]:
    """Judge inputs of a door; how they ended, and the faults."""
    counts: Counter[str] = Counter()
    faults: list[Fault] = []
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory(prefix="vreloc-fuzz-") as place:
        seeds = door.seeds(Path(place, "seeds"))
        number, last = first, first + count
        while number < last and time.time() < until:
            ours, theirs = context.Pipe(duplex=False)
            numbers = range(number, last)
            worker = context.Process(
                target=_work, args=(door, seeds, numbers, seed, Path(place, "input"), theirs)
            )
            worker.start()
            theirs.close()
            begun, ended = number, True
            try:
                while True:
                    begun, kind, text = ours.recv()
                    ended = kind != "begun"
                    if ended:
                        counts[kind if kind in ("ok", "refused") else "fault"] += 1
                        if kind not in ("ok", "refused"):
                            faults.append(Fault(door.name, begun, kind, text))
                        if time.time() > until:
                            break
            except EOFError:
                pass
            ours.close()
            if time.time() > until:
                worker.kill()
            worker.join()
            if (worker.exitcode or 0) > 0:
                raise RuntimeError(f"The campaign itself failed at input {begun} of {door.name}")
            if not ended and time.time() <= until:
                code = -(worker.exitcode or 0)
                kind = {signal.SIGPROF: "hang", signal.SIGALRM: "hang"}.get(code, "crash")
                faults.append(Fault(door.name, begun, kind, f"ended by signal {code}"))
                counts["fault"] += 1
            number = begun + 1
    return counts, faults


def main() -> int:
    """Run the campaign; 1 if there was a fault."""
    from tests.fuzz.doors import DOORS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000, help="of a door of share 1")
    parser.add_argument("--door", action="append", choices=[door.name for door in DOORS])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="no new input after so many")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that were faults")
    given = parser.parse_args()
    until = time.time() + 60 * given.minutes
    total: Counter[str] = Counter()
    for door in DOORS:
        if given.door and door.name not in given.door:
            continue
        began = time.time()
        count = given.inputs if given.inputs == 1 else round(given.inputs * door.share)
        counts, faults = run_door(door, count, given.seed, given.first, until)
        total += counts
        print(f"{door.name}: {dict(counts)} in {time.time() - began:.0f} s", flush=True)
        shown: Counter[str] = Counter()
        for fault in faults:
            same = fault.text.split("'")[0] + fault.kind
            shown[same] += 1
            if shown[same] <= 2:
                print(
                    f"  {fault.kind} at --door {door.name} --first {fault.number}: {fault.text}", flush=True
                )
            if given.keep is not None:
                with tempfile.TemporaryDirectory() as place:
                    seeds = door.seeds(Path(place, "seeds"))
                write_input(
                    given.keep / f"{door.name}-{fault.number}",
                    input_of(door, seeds, fault.number, given.seed),
                )
    print(f"{sum(total.values())} inputs: {dict(total)}")
    return int(total["fault"] > 0)


if __name__ == "__main__":
    sys.exit(main())
