"""The command ``vreloc``. It parses, calls :mod:`vreloc_pyg.workflows` and prints."""

from __future__ import annotations

import inspect
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
from vreloc_pyg.datasets.tasks import AnnotatedName, Benchmark, load_benchmark, open_annotations
from vreloc_pyg.errors import VrelocError

if TYPE_CHECKING:
    from vreloc_pyg.systems.mgffnet.presets import Preset

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
    from vreloc_pyg.experiments.compare import print_table
    from vreloc_pyg.experiments.demo import run_demo

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
    benchmark: Benchmark,
    output: str,
    system: str = "mgffnet",
    preset: PresetName | None = None,
    model: Override | None = None,
    pairing: Override | None = None,
    training: Override | None = None,
    edges: bool = False,
    resume: bool = False,
    tensorboard: bool = False,
    num_workers: int = 0,
    seed: int = 0,
) -> None:
    """Train MGFFNet or a rival; the best model on the validation classes is saved in OUTPUT/model.

    Args:
        benchmark: see :func:`load_benchmark`.
        output: folder for checkpoints, curves, settings and the model.
        system: mgffnet, a variant of it (mgffnet-cnn, ...) or a rival (cgbm, ...); an unknown one lists all.
        preset: MGFFNet as the paper has it, or, by default, as it did best on validation classes.
        model: settings of the network to replace, such as --model.hidden_channels 64.
        pairing: settings of pair graphs to replace, such as --pairing.num_steps 24.
        training: settings of the run to replace, such as --training.epochs 5.
        edges: pass messages over edge sets instead of using the closed form.
        resume: continue the run in OUTPUT from its last checkpoint.
        tensorboard: log for TensorBoard too.
        num_workers: processes that prepare training episodes.
        seed: decides weights and draws.
    """
    from vreloc_pyg.experiments.train import train_system

    train_system(
        system,
        benchmark,
        output,
        preset,
        model,
        pairing,
        {"seed": seed, **(training or {})},
        edges,
        resume=resume,
        tensorboard=tensorboard,
        num_workers=num_workers,
    )
    print(
        f"Saved the best model in {Path(output) / 'model'} and the curves in {Path(output) / 'metrics.csv'}"
    )


def evaluate(
    benchmark: Benchmark,
    checkpoint: str,
    output: str,
    split: Literal["validation", "test"] = "test",
    thresholds: list[float] | None = None,
) -> None:
    """Evaluate a trained model beside Chance, the query-blind rules and the window rules.

    Args:
        benchmark: see :func:`load_benchmark`; its proposals replace those of the checkpoint where given.
        checkpoint: folder of a saved model, such as OUTPUT/model of train.
        output: folder for the tables.
        split: whose pairs are answered.
        thresholds: tIoU a hit must exceed (default: .5 .6 .7 .75 .8 .85 .9 .95).
    """
    from vreloc_pyg.evaluation import THRESHOLDS
    from vreloc_pyg.experiments.compare import evaluate_benchmark, load_localizer, print_table

    localizer = load_localizer(checkpoint, benchmark)
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
    from vreloc_pyg.answers.files import clock, localize_files
    from vreloc_pyg.files import write_json
    from vreloc_pyg.localization import Localizer

    localizer = Localizer.from_pretrained(checkpoint)
    found, answer = localize_files(localizer, query, reference, seconds_per_step, top_n)
    print("rank  start        end          score")
    for segment, (start, end) in zip(answer["segments"], found, strict=True):
        print(f"{segment['rank']:4}  {clock(start):11}  {clock(end):11}  {segment['score']:+.3f}")
    if output is not None:
        print(f"Written to {write_json(output, answer)}")


def locate(
    query: str,
    reference: str,
    checkpoint: str | None = None,
    start: float = 0.0,
    end: float | None = None,
    top: int = 5,
    min_score: float | None = None,
    json: str | None = None,
    srt: str | None = None,
    clip: str | None = None,
    html: str | None = None,
    extractor: Literal["i3d", "c3d", "c3d-fc7"] | None = None,
    weights: str | None = None,
    cache: str | None = None,
) -> None:
    """Find the segments of a reference video that show the action of a query video.

    Args:
        query: video of the action.
        reference: video to search.
        checkpoint: folder of a model trained on such features; by default a rule that needs no training.
        start: where the action begins in the query video, in seconds.
        end: where it ends; by default the end of the video.
        top: number of segments, at most.
        min_score: leave out segments with lower scores.
        json: JSON file to write.
        srt: subtitles of the reference to write, .srt.
        clip: video file for the best segment.
        html: page to write, with both videos, the timeline and the segments.
        extractor: network of the features; by default the model's own, or i3d.
        weights: its weights, as `vreloc weights` keeps them.
        cache: folder where features are kept; by default in the user's cache.
    """
    from vreloc_pyg.answers.files import locate_videos, print_answer

    answer = locate_videos(
        query,
        reference,
        checkpoint,
        extractor,
        weights,
        {"json": json, "srt": srt, "clip": clip, "html": html},
        start_s=start,
        end_s=end,
        top_n=top,
        min_score=min_score,
        cache=cache,
    )
    print_answer(answer)
    for path in (json, srt, clip, html):
        if path is not None and Path(path).exists():
            print(f"Written to {path}")


def serve(
    host: str = "127.0.0.1",
    port: int = 7860,
    videos: list[str] | None = None,
    max_upload_mb: int = 500,
    checkpoint: str | None = None,
    extractor: Literal["i3d", "c3d", "c3d-fc7"] | None = None,
    weights: str | None = None,
    cache: str | None = None,
) -> None:
    """Serve a local web page that answers as `vreloc locate` does.

    Args:
        host: address to listen on; by default this machine alone reaches it.
        port: of the server.
        videos: folders whose videos may be named by their paths, as [DIR1,DIR2]; by default none may.
        max_upload_mb: largest upload in MB.
        checkpoint: folder of a model trained on such features; by default a rule that needs no training.
        extractor: network of the features; by default the model's own, or i3d.
        weights: its weights, as `vreloc weights` keeps them.
        cache: folder where features are kept; by default in the user's cache.
    """
    from vreloc_pyg.answers.files import serve_page

    serve_page(checkpoint, extractor, weights, cache, host, port, videos or [], max_upload_mb)


def features(
    videos: str,
    output: str,
    extractor: Literal["i3d", "c3d", "c3d-fc7"] = "i3d",
    weights: str | None = None,
    shard: str | None = None,
) -> int:
    """Extract features of a video, or of all videos of a folder; exit code 3 if some could not be read.

    Args:
        videos: a video file, or a folder with videos.
        output: feature store to write, .h5; videos it holds already are not done again.
        extractor: network of the features.
        weights: its weights, as `vreloc weights` keeps them.
        shard: I/N to do every N-th video only, from the I-th, 0 to N - 1; under torchrun each process is one.
    """
    from vreloc_pyg.video.shards import extract_features

    written, found = extract_features(videos, output, extractor, weights, shard)
    for note in found.problems:
        print(f"Note: {note}")
    counts = f"{len(found.done)} done, {len(found.kept)} were there, {len(found.failed)} could not be read"
    print(f"{counts}. Written to {written}")
    for video_id, why in found.failed.items():
        print(f"  {video_id}: {why}")
    return 3 if found.failed else 0


def merge(output: str) -> None:
    """Merge the stores that shards of `vreloc features` wrote.

    Args:
        output: what was given to `vreloc features`; its shards lie beside it.
    """
    from vreloc_pyg.video.shards import merge_shards

    print(f"{merge_shards(output)} videos. Written to {output}")


def weights(action: Literal["import-i3d", "import-c3d"], path: str) -> None:
    """Import published weights of a feature network.

    Args:
        action: which network.
        path: the file as it was published: a source distribution, pickle, state dict or safetensors.
    """
    from vreloc_pyg.video.weights import import_weights

    print(f"Kept in {import_weights(action.removeprefix('import-'), path)}")


def train_actionness(
    benchmark: Benchmark,
    output: str,
    network: Override | None = None,
    training: Override | None = None,
    grouping: Override | None = None,
    seed: int = 0,
) -> None:
    """Train the actionness classifier whose groups are proposals; the best by AUC on validation classes.

    Args:
        benchmark: see :func:`load_benchmark`.
        output: folder for the classifier, to be given as --proposals, and its curves.
        network: settings of the classifier to replace, such as --network.num_layers 3.
        training: settings of the run to replace, such as --training.epochs 5.
        grouping: settings of temporal actionness grouping to replace, such as --grouping.smoothing 2.
        seed: decides weights and draws.
    """
    from vreloc_pyg.experiments.candidates import train_proposals

    _, auc = train_proposals(benchmark, output, network, {"seed": seed, **(training or {})}, grouping)
    print(f"AUC on validation classes: {auc:.3f}. Saved in {output}; use it with --proposals {output}")


def proposals(
    benchmark: Benchmark, output: str, split: Literal["all", "train", "validation", "test"] = "all"
) -> None:
    """Write candidate windows as a proposal list, and print their recall on the test classes.

    Args:
        benchmark: see :func:`load_benchmark`.
        output: list to write, .txt in the layout of SSN's lists.
        split: whose references; of one split, the recall printed is its own.
    """
    from vreloc_pyg.experiments.candidates import write_proposals
    from vreloc_pyg.experiments.compare import print_table

    print_table(write_proposals(benchmark, output, split))
    print(f"\nRecall in % of instances and of videos. Written to {output}")


def split(data: AnnotatedName, root: str, output: str, seed: int = 0) -> None:
    """Draw training, validation and test classes, and write them to a file to be given as --classes.

    Args:
        data: the data set.
        root: folder of its files, or a file of annotations.
        output: JSON file to write.
        seed: decides the draw.
    """
    classes = open_annotations(data, root).class_split(seed)
    classes.save(output, name=data, seed=seed)
    counts = f"{len(classes.train)} training, {len(classes.validation)} validation, {len(classes.test)} test"
    print(f"Written to {output}: {counts} classes")


def validate(annotations: str, features: str | None = None) -> int:
    """List every problem of a CSV of annotations, with line numbers; exit code 2 if there is an error.

    Args:
        annotations: CSV with the columns video, start_s, end_s and label.
        features: feature store that must hold the videos.
    """
    from vreloc_pyg.datasets.folder import validate_csv
    from vreloc_pyg.features.store import open_store

    found = validate_csv(annotations, None if features is None else open_store(features))
    for problem in found:
        print(f"{annotations}, line {problem.line}: {problem.severity}: {problem.message}")
    errors = sum(problem.severity == "error" for problem in found)
    print(f"{errors} errors, {len(found) - errors} warnings")
    return 2 if errors else 0


def pca(features: str, output: str, basis: str | None = None, components: int = 500) -> None:
    """Reduce the features of a store by principal component analysis.

    Args:
        features: feature store to read, an HDF5 file or a folder.
        output: feature store to write, HDF5; a basis that was fitted is written beside it.
        basis: a basis of an earlier run, or ActivityNet's published HDF5; by default one is fitted.
        components: number of components to fit.
    """
    from vreloc_pyg.features.pca import reduce_features

    print(f"Written to {output}, the basis is {reduce_features(features, output, basis, components)}")


def plot_graph(
    output: str, steps: int = 8, proposal_steps: int | None = None, scale: int = 3, node: int | None = None
) -> None:
    """Draw the pair graph of one scale and its adjacency matrix.

    Args:
        output: picture to write, .png, .svg or .pdf.
        steps: steps of the query.
        proposal_steps: steps of the proposal; by default as many as of the query.
        scale: scale k of the graph, in steps.
        node: stress the edges of one node; the query's are 0 to STEPS - 1, then come the proposal's.
    """
    from vreloc_pyg.report.graph_plot import graph_picture

    length = steps if proposal_steps is None else proposal_steps
    print(f"Written to {graph_picture(steps, length, scale, output, node)}")


def benchmark(
    output: str,
    dataset: str = "synthetic",
    root: str | None = None,
    systems: list[str] | str = "all",
    folds: list[int] | int | str = "all",
    features: str | None = None,
    proposals: str | None = None,
    training: dict[str, Override] | None = None,
    model: dict[str, Override] | None = None,
    max_pairs: int | None = None,
    quick: bool = False,
    readme: str | None = None,
    seed: int = 0,
) -> None:
    """Train and test every system on every fold, and write the tables; what is done is not done again.

    Args:
        output: folder for predictions, tables, pictures and models.
        dataset: penn-action-reloc, utkinect-reloc, synthetic, or a data set of train.
        root: folder of its files; by default its name within $VRELOC_DATA.
        systems: names, such as [mgffnet,cgbm], or all; an unknown one lists them.
        folds: class folds, such as [0,2], or all.
        features: feature store, for data that need one.
        proposals: candidate windows as of train, with {fold} in the place of the fold's number.
        training: settings of runs to replace by system, or all, such as --training.cgbm '{epochs: 5}'.
        model: settings of networks to replace by system, such as --model.sst '{hidden_channels: 128}'.
        max_pairs: answer only so many test pairs a fold; by default all.
        quick: few training steps and pairs, to see that everything works.
        readme: file whose table of this data set is replaced by these results.
        seed: decides data, weights and draws.
    """
    from vreloc_pyg.experiments.command import benchmark_systems
    from vreloc_pyg.experiments.plan import make_plan

    options = {"training": training, "model": model, "max_pairs": max_pairs, "quick": quick, "seed": seed}
    sources = {"root": root, "features": features, "proposals": proposals}
    plan = make_plan(dataset, _words(systems), _words(folds), **sources, **options)
    benchmark_systems(plan, output, readme)
    print(f"Tables and pictures are in {output}; begin with {Path(output) / 'report.md'}")


def ablate(
    output: str,
    dataset: str = "synthetic",
    root: str | None = None,
    changes: list[str] | str = "graph",
    sources: dict[str, str] | None = None,
    folds: list[int] | int | str = "all",
    training: Override | None = None,
    max_pairs: int | None = None,
    quick: bool = False,
    seed: int = 0,
) -> None:
    """Change one setting of MGFFNet at a time and compare on validation classes; done rows are kept.

    Args:
        output: folder for tables and models.
        dataset: penn-action-reloc, utkinect-reloc, synthetic, or a data set of train.
        root: folder of its files; by default its name within $VRELOC_DATA.
        changes: rows by name, or graph (the paper's Table 3), recipe or all.
        sources: rows that rank other candidate windows, such as --sources.TAG 'outputs/actionness{fold}'.
        folds: class folds, such as [0,2], or all.
        training: settings of every run to replace, such as --training.epochs 3.
        max_pairs: answer only so many pairs a fold; by default all.
        quick: few training steps and pairs, to see that everything works.
        seed: decides data, weights and draws.
    """
    from vreloc_pyg.experiments.command import ablate_settings
    from vreloc_pyg.experiments.plan import make_plan

    own = {"mgffnet": training} if training else None
    options = {"root": root, "max_pairs": max_pairs, "quick": quick, "seed": seed}
    plan = make_plan(dataset, [], _words(folds), training=own, **options)
    ablate_settings(plan, _words(changes), output, sources)
    print(f"Tables are in {output}; begin with {Path(output) / 'ablation.md'}")


def _words(values: Sequence[object] | int) -> list[str]:
    """One value or several as a list of words."""
    return [str(values)] if isinstance(values, (str, int)) else list(map(str, values))


def _preset(
    name: str,
    benchmark: Benchmark,
    model: Override | None = None,
    pairing: Override | None = None,
    training: Override | None = None,
) -> Preset:
    from vreloc_pyg.systems.mgffnet.presets import make_preset

    width = benchmark.splits["train"].num_features
    parts = (width, benchmark.proposals, benchmark.skeleton)
    return make_preset(name, *parts, model, pairing, training, benchmark.shortest)


COMMANDS: dict[str, Callable[..., int | None]] = {
    "demo": demo,
    "train": train,
    "evaluate": evaluate,
    "locate": locate,
    "serve": serve,
    "features": features,
    "merge": merge,
    "weights": weights,
    "localize": localize,
    "validate": validate,
    "split": split,
    "pca": pca,
    "train-actionness": train_actionness,
    "proposals": proposals,
    "benchmark": benchmark,
    "ablate": ablate,
    "plot-graph": plot_graph,
}


def make_parser() -> ArgumentParser:
    """The parser of ``vreloc`` with one subcommand for each function of ``COMMANDS``."""
    parser = ArgumentParser(prog="vreloc", description=vreloc_pyg.__doc__, version=vreloc_pyg.__version__)
    commands = parser.add_subcommands(required=True)
    for name, command in COMMANDS.items():
        doc = (command.__doc__ or "").split("\n\n")[0]
        sub = ArgumentParser(description=doc)
        sub.add_argument("--config", action=ActionConfigFile, help="YAML file with these settings.")
        skip: set[str | int] = set()
        if "benchmark" in inspect.signature(command).parameters:
            sub.add_function_arguments(load_benchmark, as_group=False)
            skip |= {"benchmark", "seed"} & set(inspect.signature(command).parameters)
        positional = command in (features, weights)
        if command is features:
            sub.add_argument("videos", type=str, help="a video file, or a folder with videos.")
            skip, positional = {*skip, "videos"}, False
        sub.add_function_arguments(command, as_group=False, as_positional=positional, skip=skip)
        for action in sub._actions:
            if getattr(action, "_typehint", None) is bool:  # --quick is --quick true
                action.nargs, action.const = "?", True
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
        return _run(COMMANDS[name], settings.as_dict()) or 0
    except VrelocError as error:
        print(f"vreloc {name}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        where = "" if error.filename is None else f": {error.filename}"
        print(f"vreloc {name}: {error.strerror or error}{where}", file=sys.stderr)
        return 2


def _run(command: Callable[..., int | None], values: dict[str, Any]) -> int | None:
    """Call a command; its benchmark is loaded from the arguments of :func:`load_benchmark`."""
    parameters = inspect.signature(command).parameters
    if "benchmark" in parameters:
        data = {key: values.pop(key) for key in inspect.signature(load_benchmark).parameters}
        if "seed" in parameters:
            values["seed"] = data["seed"]
        values["benchmark"] = load_benchmark(**data)
        for note in values["benchmark"].notes:
            print(f"Note: {note}")
    return command(**values)


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
