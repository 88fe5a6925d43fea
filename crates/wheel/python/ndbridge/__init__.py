"""One tensor handle over memory that NumPy, PyTorch, TensorFlow, JAX, Rust or a file may own.

Every call says in its name whether it shares or copies, does exactly that, and can tell you
afterwards (``t.receipt``). ``from_*``, views, ``numpy()``, ``torch()``, ``tensorflow()`` and ``jax()``
share; ``tensor``, ``constant``, ``clone`` and ``astype`` copy.
"""

from . import cuda as cuda
from ._ndbridge import *
from ._ndbridge import __all__ as __all__
from ._ndbridge import __version__ as __version__
