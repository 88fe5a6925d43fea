"""CUDA devices: whether there are any, their memory, their streams.

``Tensor.cuda()``, ``Tensor.to('cuda:0')`` and ``Tensor.cpu()`` copy between the host and a device.
Work on a device goes to the current stream of the thread and comes in its order; a tensor remembers
the stream of its last use, and work on another stream waits for that by itself.
"""

from ._ndbridge import _cuda

Stream = _cuda.Stream
current_stream = _cuda.current_stream
device_count = _cuda.device_count
device_name = _cuda.device_name
empty_cache = _cuda.empty_cache
is_available = _cuda.is_available
memory_stats = _cuda.memory_stats
reset_peak_memory_stats = _cuda.reset_peak_memory_stats
set_release_threshold = _cuda.set_release_threshold
synchronize = _cuda.synchronize

__all__ = [
    "Stream",
    "current_stream",
    "device_count",
    "device_name",
    "empty_cache",
    "is_available",
    "memory_stats",
    "reset_peak_memory_stats",
    "set_release_threshold",
    "synchronize",
]
