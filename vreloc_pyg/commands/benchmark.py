"""``vreloc benchmark``, ``vreloc results`` and ``vreloc ablate``."""

from __future__ import annotations

from pathlib import Path

from vreloc_pyg.commands.options import Override, PerSystem, words


def benchmark(
    *,
    output: str,
    data: str = "synthetic",
    root: str | None = None,
    systems: list[str] | str = "all",
    folds: list[int] | int | str = "all",
    features: str | None = None,
    proposals: str | None = None,
    training: PerSystem | None = None,
    model: PerSystem | None = None,
    budget: float | None = None,
    seeds: dict[str, int] | None = None,
    beside: str | None = None,
    max_pairs: int | None = None,
    quick: bool = False,
    seed: int = 0,
) -> None:
    """Train and test every system on every fold, and write the tables; what is done is not done again.

    Args:
        output: folder for predictions, tables, pictures and models.
        data: data set. Known are {tasks}.
        root: folder of its files; by default its name within $VRELOC_DATA.
        systems: names, such as [mgffnet,cgbm], or all. `vreloc systems` lists them.
        folds: class folds, such as [0,2], or all.
        features: feature store, for data that need one.
        proposals: candidate windows as of train, with {fold} in the place of the fold's number.
        training: settings of runs to replace by system, or all, such as --training.cgbm '{epochs: 5}'.
        model: settings of networks to replace by system, such as --model.sst '{hidden_channels: 128}'.
        budget: processor seconds that every system is trained for; they decide its steps_per_epoch.
        seeds: runs on each fold by system, such as --seeds.mgffnet 3; by default one.
        beside: another benchmark of the same pairs, such as docs/results/jhmdb, whose rows are shown too.
        max_pairs: answer only so many test pairs a fold; by default all.
        quick: few training steps and pairs, to see that everything works.
        seed: decides data, weights and draws.

    Example:
        vreloc benchmark --data synthetic --quick --output outputs/benchmark
    """
    from vreloc_pyg.experiments.command import benchmark_systems
    from vreloc_pyg.experiments.plan import make_plan

    sources = {"root": root, "features": features, "proposals": proposals}
    runs = {"training": training, "model": model, "budget_s": budget, "seeds": seeds}
    size = {"max_pairs": max_pairs, "quick": quick, "seed": seed}
    plan = make_plan(data, words(systems), words(folds), **sources, **runs, **size)
    benchmark_systems(plan, output, beside)
    print(f"Tables and pictures are in {output}; begin with {Path(output) / 'report.md'}")


def results(folder: str, *, pages: list[str] | str | None = None, check: bool = False) -> None:
    """Write all tables and pictures of benchmarks anew from their predictions, without data or training.

    Args:
        folder: output of benchmark, or a folder of several outputs: predictions.csv.gz, pairs.csv.gz,
            benchmark.json and budgets.json in it are read.
        pages: Markdown files such as README.md; what stands between their markers is replaced.
        check: write nothing; fail if a file or a page is not what would be written.

    Example:
        vreloc results outputs/benchmark
    """
    from vreloc_pyg.experiments.results import check_results, write_results

    given = [] if pages is None else words(pages)
    if check:
        check_results(folder, given)
        print(f"All of {folder} is what its predictions give")
    else:
        write_results(folder, given)
        print(f"Reports are in {folder}")


def ablate(
    *,
    output: str,
    data: str = "synthetic",
    root: str | None = None,
    changes: list[str] | str = "graph",
    system: str = "mgffnet",
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
        data: data set. Known are {tasks}.
        root: folder of its files; by default its name within $VRELOC_DATA.
        changes: rows by name, or table3 (the paper's, layers by scales), graph, recipe or all.
        system: preset that is changed, mgffnet or mgffnet-paper.
        sources: rows that rank other candidate windows, such as --sources.TAG 'outputs/actionness{fold}'.
        folds: class folds, such as [0,2], or all.
        training: settings of every run to replace, such as --training.epochs 3.
        max_pairs: answer only so many pairs a fold; by default all.
        quick: few training steps and pairs, to see that everything works.
        seed: decides data, weights and draws.

    Example:
        vreloc ablate --changes graph --quick --output outputs/ablation
    """
    from vreloc_pyg.experiments.command import ablate_settings
    from vreloc_pyg.experiments.plan import make_plan

    own = {system: training} if training else None
    options = {"root": root, "training": own, "max_pairs": max_pairs, "quick": quick, "seed": seed}
    plan = make_plan(data, [], words(folds), **options)
    ablate_settings(plan, words(changes), output, sources, system)
    print(f"Tables are in {output}; begin with {Path(output) / 'ablation.md'}")


def audit(
    *,
    data: str,
    output: str,
    root: str | None = None,
    folds: list[int] | int | str = "all",
    features: str | None = None,
    max_pairs: int | None = None,
    seed: int = 0,
) -> None:
    """Show what a data set gives away; fails if joins that a detector finds are worth more than the rule.

    Args:
        data: data set. Known are {tasks}.
        output: folder for the report.
        root: folder of its files; by default its name within $VRELOC_DATA.
        folds: class folds, such as [0,2], or all.
        features: feature store, for data that need one.
        max_pairs: answer only so many test pairs a fold; by default all.
        seed: decides data and draws.

    Example:
        vreloc audit --data penn-action-reloc --root PENN_ACTION --output outputs/audit
    """
    from vreloc_pyg.experiments.audit import AUDITED, audit_task
    from vreloc_pyg.experiments.plan import make_plan

    sources = {"root": root, "features": features, "max_pairs": max_pairs, "seed": seed}
    audit_task(make_plan(data, AUDITED, words(folds), **sources), output)
    print(f"No detector of joins is ahead of the window rule; read {Path(output) / 'report.md'}")
