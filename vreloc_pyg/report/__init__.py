"""What systems found and how they did: pictures, tables, pages; matplotlib waits until one is drawn."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
