"""The errors a user can cause.

.. code-block:: text

    VrelocError
    ├── FeatureError       features of the wrong shape, width or value
    ├── SegmentError       a segment that is empty, reversed or outside its video
    ├── GraphError         a pair graph that is malformed or lacks an edge set
    ├── SettingsError      an unknown preset, setting or impossible value
    ├── TrainingError      a training run that came to numbers that are not finite
    ├── CheckpointError    a model file that is truncated or does not fit
    ├── DataError          a data set or file that cannot be read as documented
    ├── VideoError         a file that is no video, is damaged, or lacks what was asked of it
    ├── WeightsError       weights of a feature network that are missing or do not fit
    └── MissingExtraError  an optional package is not installed
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class VrelocError(Exception):
    """Base of all errors raised on purpose; the command line prints it without a traceback."""


class FeatureError(VrelocError, ValueError):
    """Features have the wrong shape, width or hold values that are not finite."""


class SegmentError(VrelocError, ValueError):
    """A temporal segment is empty, reversed, not finite or outside its video."""


class GraphError(VrelocError, ValueError):
    """A query/proposal pair graph is malformed or lacks what the model needs."""


class SettingsError(VrelocError, ValueError):
    """A preset or setting is unknown, or its value is impossible."""


class TrainingError(VrelocError):
    """A training run has come to a loss or to weights that are not finite."""


class CheckpointError(VrelocError):
    """A saved model is missing, truncated, or does not fit its settings."""


class DataError(VrelocError, ValueError):
    """A data set, or a file of one, cannot be read as its format documents."""


class VideoError(VrelocError, ValueError):
    """A file is no video, cannot be decoded, or lacks the time range asked for."""


class WeightsError(VrelocError):
    """Weights of a feature network are missing, damaged or of another network."""


class MissingExtraError(VrelocError, ImportError):
    """An optional dependency is needed and not installed."""


@contextlib.contextmanager
def reading(what: object, kind: type[VrelocError] = DataError) -> Iterator[None]:
    """Turn whatever a library raises of a damaged file into an error of ours: they raise nearly anything.

    Args:
        what: the file, and what of it, for the message.
        kind: of the error.
    """
    try:
        yield
    except VrelocError:
        raise
    except Exception as error:
        words = " ".join(str(error).split()) or type(error).__name__
        raise kind(f"Cannot read {what}: {words[:300]}") from None
