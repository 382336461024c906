"""The command ``vreloc``. It parses, calls :mod:`vreloc_pyg.workflows` and prints."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from jsonargparse import ActionConfigFile, ArgumentParser, Namespace

import vreloc_pyg
from vreloc_pyg.datasets.benchmark import Benchmark, BenchmarkName, load_benchmark
from vreloc_pyg.errors import VrelocError

if TYPE_CHECKING:
    from vreloc_pyg.training.presets import Preset

PresetName = Literal["paper", "recommended"]
Override = dict[str, Any]


def demo(output: str = "outputs/demo", epochs: int = 6, pictures: int = 100, seed: int = 0) -> None:
    """Train on synthetic data, evaluate beside the rules, and draw what happened.

    Args:
        output: folder for tables, curves, pictures and the model.
        epochs: validations, each after 50 training steps.
        pictures: number of timeline pictures, at most; there are 100 queries.
        seed: decides data, weights and draws.
    """
    from vreloc_pyg.workflows import print_table, run_demo

    benchmark = load_benchmark("synthetic", seed=seed)
    preset = _preset(
        "recommended", benchmark, training={"epochs": epochs, "steps_per_epoch": 50, "seed": seed}
    )
    table = run_demo(benchmark, preset, output, pictures)
    print_table(table, ("R@1(0.5)", "R@1(0.7)", "mean tIoU"))
    print(
        f"\nR@1 in % of {int(table['N'].iloc[0])} queries of classes never seen in training, [95 % interval]."
    )
    print(
        f"Tables, curves and a timeline for each query are in {output}; begin with {output}/timelines/00.png"
    )


def train(
    output: str,
    data: BenchmarkName = "synthetic",
    root: str | None = None,
    fold: int = 0,
    preset: PresetName = "recommended",
    model: Override | None = None,
    pairing: Override | None = None,
    training: Override | None = None,
    edges: bool = False,
    resume: bool = False,
    tensorboard: bool = False,
    num_workers: int = 0,
    seed: int = 0,
) -> None:
    """Train MGFFNet; the best model on the validation classes is saved in OUTPUT/model.

    Args:
        output: folder for checkpoints, curves, settings and the model.
        data: the benchmark.
        root: folder of the data set's files, in its official layout; not for synthetic.
        fold: class fold, 0 to 4.
        preset: the paper's literal settings, or those that did best on validation classes.
        model: settings of MGFFNet to replace, such as --model.hidden_channels 64.
        pairing: settings of pair graphs to replace, such as --pairing.num_steps 24.
        training: settings of the run to replace, such as --training.epochs 5.
        edges: pass messages over edge sets instead of using the closed form.
        resume: continue the run in OUTPUT from its last checkpoint.
        tensorboard: log for TensorBoard too.
        num_workers: processes that prepare training episodes.
        seed: decides folds, weights and draws.
    """
    from vreloc_pyg.workflows import train_localizer

    benchmark = load_benchmark(data, root, fold, seed)
    chosen = _preset(preset, benchmark, model, pairing, {"seed": seed, **(training or {})})
    train_localizer(
        benchmark,
        chosen,
        output,
        edges=edges,
        resume=resume,
        tensorboard=tensorboard,
        num_workers=num_workers,
    )
    print(
        f"Saved the best model in {Path(output) / 'model'} and the curves in {Path(output) / 'metrics.csv'}"
    )


def evaluate(
    checkpoint: str,
    output: str,
    data: BenchmarkName = "synthetic",
    root: str | None = None,
    fold: int = 0,
    split: Literal["validation", "test"] = "test",
    thresholds: list[float] | None = None,
    seed: int = 0,
) -> None:
    """Evaluate a trained model beside Chance, the query-blind rules and the window rules.

    Args:
        checkpoint: folder of a saved model, such as OUTPUT/model of train.
        output: folder for the tables.
        data: the benchmark.
        root: folder of the data set's files, in its official layout; not for synthetic.
        fold: class fold, 0 to 4.
        split: whose pairs are answered.
        thresholds: tIoU a hit must exceed (default: .5 .6 .7 .75 .8 .85 .9 .95).
        seed: decides folds and draws.
    """
    from vreloc_pyg.evaluation import THRESHOLDS
    from vreloc_pyg.localization import Localizer
    from vreloc_pyg.workflows import evaluate_benchmark, print_table

    localizer = Localizer.from_pretrained(checkpoint)
    benchmark = load_benchmark(data, root, fold, seed)
    table = evaluate_benchmark(benchmark, [localizer], output, split, thresholds or THRESHOLDS)
    print_table(table)
    print(f"\nTables are in {output}")


def localize(
    checkpoint: str,
    query: str,
    reference: str,
    seconds_per_step: float,
    output: str | None = None,
    top_n: int = 5,
) -> None:
    """Find the segments of a reference that show the query's action.

    Args:
        checkpoint: folder of a saved model, such as OUTPUT/model of train.
        query: features of the query clip, a .npy file [num_steps, F].
        reference: features of the reference video, a .npy file [num_steps, F].
        seconds_per_step: duration of one feature step in seconds.
        output: JSON file to write.
        top_n: number of segments.
    """
    from vreloc_pyg.localization import Localizer
    from vreloc_pyg.workflows import clock, localize_files, write_json

    localizer = Localizer.from_pretrained(checkpoint)
    found, answer = localize_files(localizer, query, reference, seconds_per_step, top_n)
    print("rank  start        end          score")
    for segment, (start, end) in zip(answer["segments"], found, strict=True):
        print(f"{segment['rank']:4}  {clock(start):11}  {clock(end):11}  {segment['score']:+.3f}")
    if output is not None:
        print(f"Written to {write_json(output, answer)}")


def _preset(
    name: str,
    benchmark: Benchmark,
    model: Override | None = None,
    pairing: Override | None = None,
    training: Override | None = None,
) -> Preset:
    from vreloc_pyg.training.presets import make_preset

    width = benchmark.splits["train"].num_features
    return make_preset(name, width, benchmark.proposals, benchmark.skeleton, model, pairing, training)


COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "train": train,
    "evaluate": evaluate,
    "localize": localize,
}


def make_parser() -> ArgumentParser:
    """The parser of ``vreloc`` with one subcommand for each function of ``COMMANDS``."""
    parser = ArgumentParser(prog="vreloc", description=vreloc_pyg.__doc__, version=vreloc_pyg.__version__)
    commands = parser.add_subcommands(required=True)
    for name, command in COMMANDS.items():
        doc = (command.__doc__ or "").split("\n\n")[0]
        sub = ArgumentParser(description=doc)
        sub.add_argument("--config", action=ActionConfigFile, help="YAML file with these settings.")
        sub.add_function_arguments(command, as_group=False)
        commands.add_subcommand(name, sub, help=doc)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``vreloc``; returns 0, or 2 after printing what was wrong with the input."""
    parser = make_parser()
    chosen = parser.parse_args(list(arguments) if arguments is not None else None)
    name = chosen.subcommand
    _quiet_libraries()
    try:
        settings = chosen[name].clone()
        settings.pop("config", None)
        _write_settings(chosen, name, settings.get("output"))
        COMMANDS[name](**settings.as_dict())
    except VrelocError as error:
        print(f"vreloc {name}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"vreloc {name}: {error.strerror}: {error.filename}", file=sys.stderr)
        return 2
    return 0


def _write_settings(chosen: Namespace, name: str, output: str | None) -> None:
    """Write the resolved settings beside the output, in the form ``--config`` reads."""
    if output is None:
        return
    from vreloc_pyg.files import write_text

    place = Path(output)
    path = place.with_name(place.stem + ".settings.yaml") if place.suffix else place / f"{name}.yaml"
    settings = {key: value for key, value in chosen[name].as_dict().items() if key != "config"}
    write_text(path, yaml.safe_dump(settings, sort_keys=False))


def _quiet_libraries() -> None:
    """Leave progress bars and results on the screen, not the libraries' hints."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    if "PYTHONWARNINGS" not in os.environ and not sys.warnoptions:
        warnings.simplefilter("ignore")


if __name__ == "__main__":
    sys.exit(main())
