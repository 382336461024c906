"""`vreloc features` in two processes of torchrun, and their shards merged."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.videos import counting, write_video
from vreloc_pyg import cli
from vreloc_pyg.features.store import HDF5Store

#: The command with an extractor that needs no weights; each process is told its rank by torchrun.
PROGRAM = """
import sys
from vreloc_pyg import cli
from vreloc_pyg.video.extractors import EXTRACTORS
EXTRACTORS["levels"] = "tests.videos:LEVELS"
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_processes_of_torchrun_share_the_videos(tmp_path, request):
    for name in "abc":
        write_video(tmp_path / "videos" / f"{name}.mp4", counting(30, ord(name) % 5 + 1))
    (tmp_path / "program.py").write_text(PROGRAM)
    output = tmp_path / "features.h5"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = ["features", str(tmp_path / "videos"), "--extractor", "levels", "--output"]
    environment = {**os.environ, "PYTHONPATH": str(request.config.rootpath), "OMP_NUM_THREADS": "1"}
    options = {"capture_output": True, "text": True, "timeout": 200, "env": environment}
    done = subprocess.run([*torchrun, str(tmp_path / "program.py"), *command, str(output)], **options)
    assert done.returncode == 0, done.stderr
    assert not output.exists()
    shards = [HDF5Store(tmp_path / f"features.{rank}-of-2.h5").ids() for rank in (0, 1)]
    assert shards == [["a", "c"], ["b"]]
    assert cli.main(["merge", "--output", str(output)]) == 0

    alone = tmp_path / "alone.h5"
    program = [sys.executable, str(tmp_path / "program.py"), *command, str(alone)]
    subprocess.run(program, check=True, **options)
    assert HDF5Store(output).ids() == HDF5Store(alone).ids() == ["a", "b", "c"]
    for name in "abc":
        np.testing.assert_array_equal(HDF5Store(output).read(name), HDF5Store(alone).read(name))
