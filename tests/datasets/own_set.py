"""A small data set of one's own in files: six classes, three people, joints of a stick figure."""

import json

import numpy as np

#: Head, left and right hand, left and right foot.
SKELETON = {"joints": 5, "dims": 2, "centre": [3, 4], "mirror": [0, 2, 1, 4, 3], "features": "joints"}
FOLDS = [
    {"train": ["a", "b"], "validation": ["c", "d"], "test": ["e", "f"]},
    {"train": ["c", "d"], "validation": ["e", "f"], "test": ["a", "b"]},
]
PEOPLE = ("anna", "bert", "carl")


def joints(num_steps, seed, dims=2):
    return np.random.default_rng(seed).normal(size=(num_steps, 5, dims)).cumsum(0).astype(np.float32)


def write_csv(path, header, rows):
    path.write_text("\n".join([header, *rows]) + "\n")


def write_own_set(root, dims=2, **changed):
    """Write every file; ``changed`` replaces the lines of ``queries`` or ``pairs``, or the ``skeleton``."""
    features = root / "features"
    features.mkdir(parents=True)
    (features / "metadata.json").write_text('{"frames_per_step": 2, "frame_rate": 20}')
    annotations, queries, pairs = [], [], []
    for number, person in enumerate(PEOPLE):
        video = f"long_{person}"
        np.save(features / f"{video}.npy", joints(150, number, dims))
        for place, label in enumerate("abcdef"):
            annotations.append(f"{video},{1 + 2 * place},{2.5 + 2 * place},{label},{person};lab{number}")
            np.save(features / f"{label}_{person}.npy", joints(15, 100 + 10 * number + place, dims))
            queries.append(f"{label}_{person},{label},{person}")
            other = PEOPLE[(number + 1) % 3]
            pairs += [f"{label}_{person},long_{other},", f"{label}_{person},still,0"]
    np.save(features / "still.npy", joints(60, 7, dims))
    annotations.append("still,,,,nobody")
    write_csv(root / "annotations.csv", "video,start_s,end_s,label,source", annotations)
    write_csv(root / "queries.csv", "query,label,source", changed.get("queries", queries))
    write_csv(root / "pairs.csv", "query,reference,fold", changed.get("pairs", pairs))
    (root / "folds.json").write_text(json.dumps(changed.get("folds", FOLDS)))
    (root / "skeleton.json").write_text(json.dumps(changed.get("skeleton", {**SKELETON, "dims": dims})))
    return root
