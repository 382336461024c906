"""Feature files: ActivityNet's HDF5, folders of arrays, and our own HDF5.

Rows are read when they are asked for, and only those; what was read is kept in a cache bounded in bytes.
Stores may be used from several threads, and after a fork or in another process, which opens the file anew.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
