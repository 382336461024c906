import numpy as np
import pytest

from vreloc_pyg.datasets.philox import philox4x32

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        # The known answers of Random123 (https://github.com/DEShawResearch/random123, kat_vectors).
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_known_answers(counter, key, expected):
    assert tuple(philox4x32(counter, key).tolist()) == expected


def test_many_counters_at_once():
    counters = np.arange(24).reshape(2, 3, 4)
    words = philox4x32(counters, (5, 6))
    assert (words.shape, words.dtype) == ((2, 3, 4), np.uint32)
    assert words[1, 2].tolist() == philox4x32(counters[1, 2], (5, 6)).tolist()
