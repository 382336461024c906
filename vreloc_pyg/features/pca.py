"""Principal component analysis of stored features."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vreloc_pyg.errors import DataError, FeatureError, SettingsError
from vreloc_pyg.features.store import FeatureStore, HDF5Store, StoreWriter, open_store


@dataclass(frozen=True)
class PCA:
    """An orthonormal basis and the mean it is used about: ``(x - mean) @ basis``.

    Components are not scaled to unit variance.

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
    def num_components(self) -> int:
        """D."""
        return self.basis.size(1)

    @property
    def id(self) -> str:
        """A hash of the numbers, the same for equal bases."""
        digest = hashlib.sha256(self.mean.contiguous().numpy().tobytes())
        digest.update(self.basis.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def apply(self, features: Tensor) -> Tensor:
        """Reduce features ``[..., F]`` to ``[..., D]``.

        Raises:
            FeatureError: if they are of another width.
        """
        if features.size(-1) != len(self.mean):
            raise FeatureError(
                f"Expected features of width {len(self.mean)} for this PCA (got {features.size(-1)})"
            )
        return (features - self.mean) @ self.basis

    def save(self, path: str | Path) -> Path:
        """Write the basis as safetensors, whole or not at all."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            save_file({"mean": self.mean.contiguous(), "basis": self.basis.contiguous()}, unfinished)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: str | Path) -> PCA:
        """A basis of :meth:`save`, or ActivityNet's published one (:func:`load_activitynet_pca`).

        Raises:
            DataError: if the file is missing, damaged or neither.
        """
        if Path(path).suffix.lower() in (".hdf5", ".h5"):
            return load_activitynet_pca(path)
        try:
            tensors = load_file(path)
            return cls(tensors["mean"], tensors["basis"])
        except (OSError, SafetensorError, KeyError) as error:
            raise DataError(f"Cannot read the PCA basis {path}: missing or damaged ({error})") from None


def load_activitynet_pca(path: str | Path, num_components: int = 500) -> PCA:
    """ActivityNet's ``PCA_activitynet_v1-3.hdf5``: ``data/U`` ``[F, F]`` and ``data/x_mean`` ``[F]``.

    The published features are ``(x - x_mean) @ U[:, :500]``.

    Raises:
        DataError: if the file has another layout or fewer components.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            mean = torch.from_numpy(file["data"]["x_mean"][...]).float().flatten()
            basis = torch.from_numpy(file["data"]["U"][:, :num_components]).float()
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"Expected data/U and data/x_mean in {path} ({error})") from None
    if basis.shape != (len(mean), num_components):
        raise DataError(
            f"Expected data/U [{len(mean)}, {num_components} or more] in {path} (got {tuple(basis.shape)})"
        )
    return PCA(mean, basis)


def fit_pca(
    store: FeatureStore,
    num_components: int = 500,
    video_ids: Sequence[str] | None = None,
    batch_rows: int = 2048,
    progress: bool = True,
) -> PCA:
    """Fit a basis to the features of a store, batch by batch (scikit-learn's ``IncrementalPCA``).

    Memory does not grow with the number of rows: at F = 4096 and 500 components, in batches of 2,048 rows,
    the process peaks at 1.5 GiB, of which 0.25 are the store's cache.

    Args:
        store: the features.
        num_components: D.
        video_ids: whose features are seen; by default all. Use training videos.
        batch_rows: rows a batch, at least ``num_components``.
        progress: show a progress bar.

    Raises:
        SettingsError: if ``num_components`` or ``batch_rows`` is impossible.
        DataError: if there are fewer rows than components.
    """
    from sklearn.decomposition import IncrementalPCA

    if not 1 <= num_components <= min(store.num_features, batch_rows):
        raise SettingsError(
            f"Expected num_components between 1 and the features' width {store.num_features}, and at most "
            f"batch_rows (got {num_components} and {batch_rows})"
        )
    pca = IncrementalPCA(num_components)
    for batch in batches(store, video_ids, batch_rows, num_components, progress):
        pca.partial_fit(batch.numpy())
    mean, basis = torch.from_numpy(pca.mean_), torch.from_numpy(pca.components_.T.copy())
    return PCA(mean.float(), basis.float().contiguous())


def batches(
    store: FeatureStore, video_ids: Sequence[str] | None, rows: int, least: int, progress: bool
) -> Iterator[Tensor]:
    """Features of videos in batches ``[rows, F]``; the last has between ``least`` and rows + least rows."""
    from tqdm import tqdm

    ids = store.ids() if video_ids is None else list(video_ids)
    if not ids:
        raise DataError(f"No videos of {store.path} to fit a PCA to")
    waiting: list[Tensor] = []
    count = 0
    for video_id in tqdm(ids, desc="PCA", unit="video", disable=not progress):
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


def transform_store(pca: PCA, store: FeatureStore, path: str | Path, progress: bool = True) -> HDF5Store:
    """Write a store with the reduced features of another; it remembers the basis.

    A run that was cut off goes on where it stopped.
    """
    from tqdm import tqdm

    metadata = replace(
        store.metadata, dim=pca.num_components, pca=pca.id, package_version=version("vreloc_pyg")
    )
    with StoreWriter(path, metadata, resume=True) as writer:
        for video_id in tqdm(store.ids(), desc="reduced", unit="video", disable=not progress):
            if video_id not in writer:
                rate = store.frame_rate(video_id)
                writer.add(video_id, pca.apply(store.read(video_id)), rate)
    return HDF5Store(path)


def reduce_features(
    features: str | Path, output: str | Path, basis: str | Path | None = None, components: int = 500
) -> Path:
    """Reduce a feature store by PCA into ``output``; fit the basis where none is given.

    Returns:
        The basis that was used.
    """
    store = open_store(features)
    if basis is not None:
        path, pca = Path(basis), PCA.load(basis)
    else:
        pca = fit_pca(store, components, batch_rows=max(2048, components))
        path = pca.save(Path(output).with_suffix(".pca.safetensors"))
    transform_store(pca, store, output)
    return path
