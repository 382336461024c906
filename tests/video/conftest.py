"""What several tests of video need."""

import pytest

from vreloc_pyg.video.extractors import load_extractor
from vreloc_pyg.video.pose import PoseExtractor
from vreloc_pyg.video.pose_weights import POSE_WEIGHTS


@pytest.fixture(scope="module")
def extractor() -> PoseExtractor:
    """Poses, where BlazePose's weights are."""
    if not POSE_WEIGHTS.weights_path().is_file():
        pytest.skip("BlazePose's weights are not imported: make weights")
    made = load_extractor("pose")
    assert isinstance(made, PoseExtractor)
    return made
