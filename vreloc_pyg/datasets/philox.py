"""The counter-based random numbers that TensorFlow draws with."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
_LOW, _WORD = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox4x32(counter: ArrayLike, key: tuple[int, int], rounds: int = 10) -> NDArray[np.uint32]:
    """Philox4x32 (Salmon et al., *Parallel random numbers: as easy as 1, 2, 3*, SC 2011).

    Args:
        counter: four 32-bit words for each number drawn, ``[..., 4]``; so is the answer.
        key: two 32-bit words.
        rounds: 10 in TensorFlow and cuRAND.
    """
    words = np.asarray(counter, dtype=np.uint64) & _LOW
    c0, c1, c2, c3 = (words[..., index] for index in range(4))
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    for _ in range(rounds):
        first, second = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (second >> _WORD) ^ c1 ^ k0, second & _LOW, (first >> _WORD) ^ c3 ^ k1, first & _LOW
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)
