import subprocess
import sys

import vreloc_pyg

HEAVY = (
    "lightning", "pytorch_lightning", "torchmetrics", "jsonargparse", "matplotlib", "scipy", "sklearn",
    "h5py", "av", "tensorboard",
)  # fmt: skip
CODE = f"""
import warnings
warnings.simplefilter("ignore")
import vreloc_pyg
from vreloc_pyg import MGFFNet
MGFFNet(in_channels=4, hidden_channels=4)
import sys
print(*[name for name in {HEAVY} if name in sys.modules])
"""


def test_public_names():
    assert vreloc_pyg.__all__ == [
        "MGFFConv",
        "MGFFLayer",
        "MGFFNet",
        "MultiScaleEdges",
        "Relevance",
        "Segments",
        "VrelocError",
        "multi_scale_edge_index",
        "pair_data",
    ]
    for name in vreloc_pyg.__all__:
        assert getattr(vreloc_pyg, name).__doc__, name
        assert getattr(vreloc_pyg, name).__module__.startswith("vreloc_pyg.")


def test_importing_the_package_needs_torch_and_torch_geometric_only():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
