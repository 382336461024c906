import importlib
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import vreloc_pyg

PACKAGES = ("datasets", "evaluation", "features.store", "graphs", "localization", "nn", "proposals", "report")
LIGHT = ("lightning", "pytorch_lightning", "torchmetrics", "matplotlib", "sklearn", "h5py", "av")
ONLY_TORCH = (*LIGHT, "jsonargparse", "scipy", "tensorboard")


def test_public_names():
    assert vreloc_pyg.__all__ == [
        "MGFFConv",
        "MGFFLayer",
        "MGFFNet",
        "MultiScaleEdges",
        "Relevance",
        "Segments",
        "VrelocError",
        "graphs",
        "multi_scale_edge_index",
        "nn",
        "pair_data",
    ]
    for name in vreloc_pyg.__all__:
        assert getattr(vreloc_pyg, name).__doc__, name


@pytest.mark.parametrize("package", PACKAGES)
def test_names_of_packages_win_over_modules_of_the_same_name(package):
    """Also after every module was imported: evaluation.sign_flip is the function."""
    package = importlib.import_module(f"vreloc_pyg.{package}")
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    assert dir(package) == package.__all__
    for name in package.__all__:
        assert not isinstance(getattr(package, name), ModuleType), name
    with pytest.raises(AttributeError, match="nothing"):
        _ = package.nothing


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import vreloc_pyg, vreloc_pyg.evaluation, vreloc_pyg.commands", (*ONLY_TORCH, "torch", "pandas")),
        ("from vreloc_pyg import MGFFNet\nMGFFNet(in_channels=4, hidden_channels=4)", ONLY_TORCH),
        ("import vreloc_pyg.systems.catalog\nfrom vreloc_pyg.evaluation import evaluate", LIGHT),
    ],
)
def test_imports_stay_light(code, absent):
    code += f"\nimport sys\nprint(*[name for name in {absent} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == ([], "")
