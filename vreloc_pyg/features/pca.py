"""Principal component analysis of stored features."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vreloc_pyg.errors import DataError, FeatureError, SettingsError, reading
from vreloc_pyg.features.store import FeatureStore, HDF5Store, StoreWriter, open_store
from vreloc_pyg.features.store.hdf5 import find_dataset, open_file
from vreloc_pyg.files import replacing


@dataclass(frozen=True)
class PCA:
    """An orthonormal basis and its mean: features become ``(x - mean) @ basis``, of any variance.

    Args:
        mean: ``[F]`` float32.
        basis: ``[F, D]`` float32, columns by falling variance.
    """

    mean: Tensor
    basis: Tensor

    def __post_init__(self) -> None:
        if self.mean.dim() != 1 or self.basis.dim() != 2 or len(self.basis) != len(self.mean):
            raise FeatureError(
                f"Expected mean [F] and basis [F, D] (got shapes {tuple(self.mean.shape)} and "
                f"{tuple(self.basis.shape)})"
            )

    @property
    def id(self) -> str:
        """A hash of the numbers, the same for equal bases."""
        digest = hashlib.sha256(self.mean.contiguous().numpy().tobytes())
        digest.update(self.basis.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def apply(self, features: Tensor) -> Tensor:
        """Reduce features ``[..., F]`` to ``[..., D]``; :class:`FeatureError` for another width."""
        if features.size(-1) != len(self.mean):
            raise FeatureError(
                f"Expected features of width {len(self.mean)} for this PCA (got {features.size(-1)})"
            )
        return (features - self.mean) @ self.basis

    def save(self, path: str | Path) -> Path:
        """Write the basis as safetensors, whole or not at all."""
        with replacing(path) as unfinished:
            save_file({"mean": self.mean.contiguous(), "basis": self.basis.contiguous()}, unfinished)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> PCA:
        """A basis of :meth:`save`, or ActivityNet's published one; :class:`DataError` if it is neither."""
        if Path(path).suffix.lower() in (".hdf5", ".h5"):
            return load_activitynet_pca(path)
        with reading(f"the PCA basis {path}: missing or damaged"):
            tensors = load_file(path)
            return cls(tensors["mean"], tensors["basis"])


def load_activitynet_pca(path: str | Path, num_components: int = 500) -> PCA:
    """ActivityNet's ``PCA_activitynet_v1-3.hdf5``: ``data/U`` ``[F, F]`` and ``data/x_mean`` ``[F]``.

    The published features are ``(x - x_mean) @ U[:, :500]``. Another layout is a :class:`DataError`.
    """
    with reading(f"data/U and data/x_mean of {path}"), open_file(path) as file:
        mean = torch.from_numpy(find_dataset(file, "data/x_mean", "x_mean", path)[...]).float().flatten()
        columns = find_dataset(file, "data/U", "U", path)[:, :num_components]
        basis = torch.from_numpy(columns).float()
    if basis.shape != (len(mean), num_components):
        raise DataError(
            f"Expected data/U [{len(mean)}, {num_components} or more] in {path} (got {tuple(basis.shape)})"
        )
    return PCA(mean, basis)


def fit_pca(store: FeatureStore, num_components: int = 500, batch_rows: int = 2048) -> PCA:
    """Fit a basis to the features of a store, batch by batch (scikit-learn's ``IncrementalPCA``).

    Memory does not grow with the number of rows: at F = 4096 and 500 components, in batches of 2,048 rows,
    the process peaks at 1.5 GiB.

    Args:
        store: the features.
        num_components: D.
        batch_rows: rows a batch, at least ``num_components``.

    Raises:
        DataError: if there are fewer rows than components.
    """
    from sklearn.decomposition import IncrementalPCA

    if not 1 <= num_components <= min(store.num_features, batch_rows):
        raise SettingsError(
            f"Expected num_components between 1 and the features' width {store.num_features}, and at most "
            f"batch_rows (got {num_components} and {batch_rows})"
        )
    pca = IncrementalPCA(num_components)
    for batch in batches(store, batch_rows, num_components):
        pca.partial_fit(batch.numpy())
    mean, basis = torch.from_numpy(pca.mean_), torch.from_numpy(pca.components_.T.copy())
    return PCA(mean.float(), basis.float().contiguous())


def batches(store: FeatureStore, rows: int, least: int) -> Iterator[Tensor]:
    """Features of videos in batches ``[rows, F]``; the last has between ``least`` and rows + least rows."""
    from tqdm import tqdm

    waiting: list[Tensor] = []
    count = 0
    for video_id in tqdm(store.ids(), desc="PCA", unit="video", disable=None):
        for start in range(0, store.num_steps(video_id), rows):
            stop = min(start + rows, store.num_steps(video_id))
            waiting.append(store.read(video_id, start, stop))
            count += stop - start
            # A batch waits until enough is there for the one after it, so that none is too small.
            while count >= rows + least:
                together = torch.cat(waiting)
                yield together[:rows]
                waiting, count = [together[rows:].clone()], count - rows
    if count < least:
        raise DataError(f"{store.path} holds {count} steps: a PCA of {least} components needs as many")
    yield torch.cat(waiting)


def transform_store(pca: PCA, store: FeatureStore, path: str | Path) -> HDF5Store:
    """Write a store with the reduced features of another, which remembers the basis; it may be resumed."""
    from tqdm import tqdm

    width, ours = pca.basis.size(1), version("vreloc_pyg")
    metadata = replace(store.metadata, dim=width, pca=pca.id, package_version=ours)
    with StoreWriter(path, metadata, resume=True) as writer:
        for video_id in tqdm(store.ids(), desc="reduced", unit="video", disable=None):
            if video_id not in writer:
                writer.add(video_id, pca.apply(store.read(video_id)), store.frame_rate(video_id))
    return HDF5Store(path)


def reduce_features(
    features: str | Path, output: str | Path, basis: str | Path | None = None, components: int = 500
) -> Path:
    """Reduce a feature store into ``output``; fits a basis where none is given, and returns its path."""
    store = open_store(features)
    if basis is not None:
        path, pca = Path(basis), PCA.load(basis)
    else:
        pca = fit_pca(store, components, batch_rows=max(2048, components))
        path = pca.save(Path(output).with_suffix(".pca.safetensors"))
    transform_store(pca, store, output)
    return path
