import subprocess
import sys

HEAVY = ("lightning", "pytorch_lightning", "torchmetrics", "matplotlib", "sklearn", "h5py", "av")
CODE = """
import sys, warnings
warnings.simplefilter("ignore")
import vreloc_pyg.systems.catalog, vreloc_pyg.evaluation, vreloc_pyg.report
print(*[name for name in {heavy} if name in sys.modules])
"""


def test_importing_baselines_evaluation_and_report_stays_light():
    code = CODE.format(heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
