"""What is seen in a picture."""

import matplotlib as mpl
import matplotlib.image
import numpy as np


def pixels(path):
    picture = matplotlib.image.imread(path)
    assert min(picture.shape[:2]) > 100
    return picture[..., :3]


def where(path, colour):
    """Rows and columns of the pixels of a colour."""
    return (np.abs(pixels(path) - mpl.colors.to_rgb(colour)).max(-1) < 0.01).nonzero()


def count(path, colour):
    """Number of pixels of a colour."""
    return len(where(path, colour)[0])
