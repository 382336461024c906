"""What native code writes to standard error: the greeting is left out, nothing else."""

import os
import subprocess
import sys

import pytest

from vreloc_pyg.video.native_messages import without_info


def test_all_but_greetings_are_shown(capfd):
    with without_info():
        os.write(2, b"INFO: Created a delegate.\nWARNING: odd\n")
        assert capfd.readouterr().err == ""
    os.write(2, b"INFO: mine\n")
    assert capfd.readouterr().err == "WARNING: odd\nINFO: mine\n"


def test_what_was_said_before_a_failure_is_shown(capfd):
    def fail() -> None:
        with without_info():
            os.write(2, b"ERROR: damaged")
            raise ValueError("no network")

    with pytest.raises(ValueError, match="no network"):
        fail()
    assert capfd.readouterr().err == "ERROR: damaged"


def test_closed_standard_error_stays_closed():
    code = "import os; os.close(2)\nfrom vreloc_pyg.video.native_messages import without_info\n"
    code += "with without_info(): print('in')\ntry: os.fstat(2)\nexcept OSError: print('closed')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["in", "closed"]


@pytest.mark.slow
def test_the_interpreter_does_not_greet(extractor):
    load = "from vreloc_pyg.video.pose_weights import POSE_WEIGHTS; POSE_WEIGHTS.load()"
    ended = subprocess.run([sys.executable, "-c", load], capture_output=True, text=True, check=True)
    assert ended.stderr == ""
