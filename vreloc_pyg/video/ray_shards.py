"""Shards of features, dealt to the machines of a Ray cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vreloc_pyg.errors import DataError, MissingExtraError, SettingsError
from vreloc_pyg.video.video_files import video_files


class ShardActor:
    """Extracts one shard after the other, as ``vreloc features --shard I/N`` does."""

    def __init__(self, videos: str, output: str, extractor: str, weights: str | None, shards: int) -> None:
        self.given = (videos, output, extractor, weights)
        self.shards = shards

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """What became of a shard, as plain values."""
        from vreloc_pyg.video.shards import extract_features

        try:
            _, found = extract_features(*self.given, shard=f"{row['id']}/{self.shards}")
        except DataError as error:  # none of a shard's videos can be read: the others go on
            return {"shard": row["id"], "done": 0, "kept": 0, "failed": [str(error)]}
        failed = [f"{name}: {why}" for name, why in found.failed.items()]
        return {"shard": row["id"], "done": len(found.done), "kept": len(found.kept), "failed": failed}


def extract_with_ray(
    videos: str | Path,
    output: str | Path,
    extractor: str = "i3d",
    weights: str | Path | None = None,
    shards: int = 8,
    cores: float = 1,
    gpus: float = 0,
) -> list[dict[str, Any]]:
    """Extract features of a folder's videos as shards, with a Ray Data pipeline of an actor a core or GPU.

    The shards lie beside ``output``, as those of ``vreloc features --shard``, and ``vreloc merge`` puts them
    together. A run that is started again goes on where it stopped. Without a cluster (``RAY_ADDRESS``) Ray
    starts on this machine.

    Args:
        videos: a folder, and all machines see it under this path.
        output: the store.
        extractor, weights: of the features.
        shards: how many parts; a few for each actor, so that none waits long for the last.
        cores, gpus: that an actor takes.

    Returns:
        What became of each shard: ``shard``, ``done``, ``kept``, ``failed``.

    Raises:
        SettingsError: if there are not as many videos as shards.
        MissingExtraError: if Ray is not installed.
    """
    try:
        import ray
    except ImportError:
        raise MissingExtraError("This needs Ray: pip install 'vreloc_pyg[ray]'") from None
    count = len(video_files(videos))
    if not 1 <= shards <= count:
        raise SettingsError(f"Expected between 1 and {count} shards, one a video at most (got {shards})")
    given = (
        str(Path(videos).absolute()),
        str(Path(output).absolute()),
        extractor,
        None if weights is None else str(Path(weights).absolute()),
        shards,
    )
    total = ray.cluster_resources().get("GPU" if gpus else "CPU", 1) if ray.is_initialized() else shards
    actors = max(1, min(shards, int(total / (gpus or cores))))
    rows = ray.data.range(shards, override_num_blocks=shards).map(
        ShardActor,
        fn_constructor_args=given,
        concurrency=(1, actors),
        num_cpus=None if gpus else cores,
        num_gpus=gpus or None,
    )
    return sorted(rows.take_all(), key=lambda row: int(row["shard"]))
