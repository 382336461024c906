"""``vreloc validate`` and ``split``: annotations before they are used."""

from __future__ import annotations


def validate(*, annotations: str, features: str | None = None) -> int:
    """List every problem of your own data set, with files and lines; exit code 2 if there is an error.

    Args:
        annotations: CSV with the columns video, start_s, end_s and label, or the folder of a data set.
        features: feature store that must hold the videos; by default the one in the folder.

    Example:
        vreloc validate --annotations annotations.csv --features features.h5
    """
    from vreloc_pyg.datasets.folder import validate_folder
    from vreloc_pyg.features.store import open_store

    found = validate_folder(annotations, None if features is None else open_store(features))
    for problem in found:
        print(problem)
    errors = sum(problem.severity == "error" for problem in found)
    print(f"{errors} errors, {len(found) - errors} warnings")
    return 2 if errors else 0


def split(*, data: str, root: str, output: str, seed: int = 0) -> None:
    """Draw training, validation and test classes, and write them to a file to be given as --classes.

    Args:
        data: the data set, activitynet, thumos14 or folder.
        root: folder of its files, or a file of annotations.
        output: JSON file to write.
        seed: decides the draw.

    Example:
        vreloc split --data folder --root annotations.csv --output classes.json
    """
    from vreloc_pyg.datasets.tasks import open_annotations

    classes = open_annotations(data, root).class_split(seed)
    classes.save(output, name=data, seed=seed)
    counts = f"{len(classes.train)} training, {len(classes.validation)} validation, {len(classes.test)} test"
    print(f"Written to {output}: {counts} classes")
