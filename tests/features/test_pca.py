import h5py
import numpy as np
import pytest
import torch

from vreloc_pyg.errors import DataError, FeatureError, SettingsError
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.features.pca import PCA, batches, fit_pca, load_activitynet_pca, transform_store
from vreloc_pyg.features.store import open_store, write_store


def make_store(tmp_path, lengths=(40, 3, 57), width=12, rank=None, name="f.h5"):
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(rank or width, width)) * np.arange(1, (rank or width) + 1)[:, None]
    videos = [
        (f"v{i}", torch.from_numpy(rng.normal(size=(n, rank or width)) @ basis + 5).float())
        for i, n in enumerate(lengths)
    ]
    return write_store(tmp_path / name, videos, FeatureMetadata("c3d", width, 16.0, 25.0))


def everything(store):
    return torch.cat([store.read(video) for video in store.ids()]).double().numpy()


def test_it_is_the_exact_analysis_up_to_signs(tmp_path):
    """One batch of scikit-learn's incremental fit is numpy's singular value decomposition."""
    store = make_store(tmp_path)
    pca = fit_pca(store, 4)
    rows = everything(store)
    _, _, components = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    agreement = np.abs(pca.basis.double().numpy().T @ components[:4].T)
    np.testing.assert_allclose(agreement, np.eye(4), atol=1e-4)
    np.testing.assert_allclose(pca.mean.numpy(), rows.mean(0), rtol=1e-4)
    reduced = pca.apply(torch.from_numpy(rows).float()).numpy()
    np.testing.assert_allclose(reduced.mean(0), 0, atol=1e-3)
    variances = reduced.var(0)
    assert (variances[:-1] >= variances[1:]).all()


def test_batches_keep_what_the_components_explain(tmp_path):
    store = make_store(tmp_path, lengths=(200, 31, 150, 4, 90))
    rows = everything(store)
    centred = rows - rows.mean(0)
    exact = np.linalg.svd(centred, compute_uv=False)[:4]
    pca = fit_pca(store, 4, batch_rows=50)
    kept = (centred @ pca.basis.double().numpy()).var(0).sum() * len(rows)
    assert kept > 0.98 * (exact**2).sum()
    np.testing.assert_allclose((pca.basis.T @ pca.basis).numpy(), np.eye(4), atol=1e-4)


@pytest.mark.parametrize("lengths", [(10,), (9, 1), (25, 25), (3, 4, 5, 50, 1), (40,)])
def test_no_batch_is_too_small_and_no_row_is_lost(tmp_path, lengths):
    store = make_store(tmp_path, lengths)
    parts = list(batches(store, rows=10, least=6))
    assert all(6 <= len(part) < 16 for part in parts)
    np.testing.assert_array_equal(torch.cat(parts).double().numpy(), everything(store))


def test_rows_of_low_rank(tmp_path):
    store = make_store(tmp_path, rank=3)
    pca = fit_pca(store, 5)
    rows = torch.from_numpy(everything(store)).float()
    back = pca.apply(rows) @ pca.basis.T + pca.mean
    torch.testing.assert_close(back, rows, atol=1e-2, rtol=1e-3)


def test_impossible_settings_and_too_few_rows(tmp_path):
    store = make_store(tmp_path, (3, 1))
    for components, rows in ((0, 50), (13, 50), (5, 4)):
        with pytest.raises(SettingsError, match="Expected num_components between 1 and"):
            fit_pca(store, components, batch_rows=rows)
    with pytest.raises(DataError, match="holds 4 steps: a PCA of 6 components"):
        fit_pca(store, 6)


def test_a_saved_basis_comes_back(tmp_path):
    pca = fit_pca(make_store(tmp_path), 4)
    loaded = PCA.load(pca.save(tmp_path / "deep" / "basis.safetensors"))
    assert torch.equal(loaded.basis, pca.basis)
    assert loaded.id == pca.id
    assert loaded.basis.shape == pca.basis.shape
    assert PCA(pca.mean + 1, pca.basis).id != pca.id
    (tmp_path / "cut.safetensors").write_bytes(b"nothing")
    for name in ("cut.safetensors", "nowhere.safetensors"):
        with pytest.raises(DataError, match=f"Cannot read the PCA basis .*{name}"):
            PCA.load(tmp_path / name)


def test_what_does_not_fit_is_refused():
    pca = PCA(torch.zeros(4), torch.eye(4)[:, :2])
    with pytest.raises(FeatureError, match=r"width 4 for this PCA \(got 3\)"):
        pca.apply(torch.zeros(2, 3))
    with pytest.raises(FeatureError, match=r"mean \[F\] and basis \[F, D\]"):
        PCA(torch.zeros(3), torch.eye(4))


def test_activitynets_published_layout(tmp_path):
    rng = np.random.default_rng(0)
    basis, mean = np.linalg.qr(rng.normal(size=(8, 8)))[0], rng.normal(size=8)
    with h5py.File(tmp_path / "PCA_activitynet_v1-3.hdf5", "w") as file:
        file["data/U"], file["data/S"], file["data/x_mean"] = basis, np.arange(8.0), mean
    pca = load_activitynet_pca(tmp_path / "PCA_activitynet_v1-3.hdf5", 3)
    row = rng.normal(size=8)
    expected = (row - mean) @ basis[:, :3]
    np.testing.assert_allclose(pca.apply(torch.from_numpy(row).float()).numpy(), expected, atol=1e-5)
    with pytest.raises(DataError, match=r"data/U \[8, 9 or more\]"):
        load_activitynet_pca(tmp_path / "PCA_activitynet_v1-3.hdf5", 9)
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["U"] = basis
    with pytest.raises(DataError, match="there is no data/x_mean"):
        PCA.load(tmp_path / "other.hdf5")


def test_a_reduced_store_remembers_the_basis(tmp_path):
    store = make_store(tmp_path)
    pca = fit_pca(store, 4)
    reduced = transform_store(pca, store, tmp_path / "reduced.h5")
    assert reduced.metadata.pca == pca.id
    assert reduced.metadata.dim == 4
    assert (reduced.metadata.extractor, reduced.metadata.frames_per_step) == ("c3d", 16.0)
    assert open_store(tmp_path / "reduced.h5").ids() == store.ids()
    assert reduced.frame_rate("v1") == 25.0
    torch.testing.assert_close(reduced.read("v1"), pca.apply(store.read("v1")))
