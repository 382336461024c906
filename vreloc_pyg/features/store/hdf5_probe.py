"""A first look at an HDF5 file, in a process that can be ended: a program, run by :mod:`.hdf5`.

HDF5's own code loops or breaks down in files that were made to do that. Here everything that will be read is
looked
at, with a limit of time and memory; what it raises does not matter, since it will be raised again.
"""

import contextlib
import sys

#: Files that are no larger are read whole, in bytes; of others the headers.
READ_WHOLE = 2**24
#: The most memory, and bytes that a data set may claim for each that it has, as the reader allows them.
MOST_MEMORY, EXPANSION, SMALL = 2**31, 200, 2**22


def limit(seconds: int) -> None:
    """End this process after so many seconds of the processor."""
    with contextlib.suppress(ImportError):  # Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def look(path: str, whole: bool) -> None:
    """Look at the root, the groups in it, and the data sets in those; no link is followed."""
    import h5py

    with h5py.File(path, "r") as file:
        waiting = [(file, 0)]
        while waiting:
            place, depth = waiting.pop()
            with contextlib.suppress(Exception):
                dict(place.attrs)
            if isinstance(place, h5py.Group):
                for name in list(place) if depth < 3 else ():
                    with contextlib.suppress(Exception):
                        if isinstance(place.get(name, getlink=True), h5py.HardLink):
                            waiting.append((place[name], depth + 1))
            else:
                with contextlib.suppress(Exception):
                    stored = place.id.get_storage_size()
                    claimed = place.size * place.dtype.itemsize
                    if whole and not place.is_virtual and claimed <= EXPANSION * stored + SMALL:
                        place[...]


if __name__ == "__main__":
    limit(int(sys.argv[2]))
    with contextlib.suppress(Exception):
        look(sys.argv[1], int(sys.argv[3]) <= READ_WHOLE)
