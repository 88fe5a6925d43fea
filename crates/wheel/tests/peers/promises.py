"""What a tensor's memory should do in every consumer, from what the consumers document.

Nothing here asks ndbridge. `LEGEND` tells what the letters mean that stand for outcomes.
"""

from dataclasses import dataclass

import numpy as np

from frameworks import FLOAT8, SIXTY_FOUR_BIT
from producers import KEPT, WRITABLE

LEGEND = {
    "S": "shares the memory",
    "S!": "shares it, although the consumer is not up to it: torch writes memory that may be "
    "read-only; TensorFlow aborts when it computes with memory that is not 64-byte aligned",
    "s": "shares the memory as one axis, without the shape",
    "s!": "shares it so, although torch crashes when it writes complex128 off its alignment",
    "C": "the consumer copies, unasked",
    "N": "the consumer narrows 64-bit numbers to 32 bits, unasked",
    "r": "refused: memory is read-only, which the consumer cannot express",
    "b": "refused: an axis runs backwards",
    "i": "refused: a stride is no multiple of the item size",
    "u": "refused: elements lie off their alignment",
    "o": "refused: the elements have gaps or are in another order",
    "a": "refused: memory does not begin at a multiple of 64 bytes",
    "d": "refused: the protocol or library has no such data type",
    "x": "refused: JAX has 64-bit numbers only if `jax_enable_x64` is on",
    "O": "the consumer itself refuses the layout",
    "D": "the consumer itself refuses the data type",
    "R": "torch gets no buffer, and does not say why: memory is read-only, or may be, or the elements "
    "are not contiguous in C order",
}


@dataclass
class Facts:
    """What decides what consumers do."""

    dtype: str
    array: np.ndarray
    access: str

    @property
    def strides(self):
        """Byte strides that are walked along."""
        pairs = zip(self.array.shape, self.array.strides)
        return [stride for length, stride in pairs if length > 1] if self.array.size else []

    @property
    def is_float8(self):
        return self.dtype in FLOAT8

    @property
    def is_of_ml_dtypes(self):
        return self.is_float8 or self.dtype == "bfloat16"

    @property
    def is_64_bit(self):
        return self.dtype in SIXTY_FOUR_BIT

    @property
    def runs_backwards(self):
        return any(stride < 0 for stride in self.strides)

    @property
    def has_odd_strides(self):
        return any(stride % self.array.itemsize for stride in self.strides)

    @property
    def is_c_ordered(self):
        return self.array.flags.c_contiguous

    @property
    def is_compact(self):
        """Whether the elements lie one after the other in some order of the axes."""
        axes = [axis for axis in range(self.array.ndim) if self.array.shape[axis] > 1]
        axes.sort(key=lambda axis: -self.array.strides[axis])
        return (
            self.array.size == 0
            or self.array.transpose(
                [*axes, *(axis for axis in range(self.array.ndim) if axis not in axes)]
            ).flags.c_contiguous
        )

    def is_off(self, alignment):
        address = self.array.__array_interface__["data"][0]
        return self.array.size > 0 and address % alignment != 0

    @property
    def is_off_64(self):
        return self.is_off(64)

    @property
    def is_off_item(self):
        """Whether an element's address is no multiple of its size, as torch and C++ assume."""
        return self.is_off(self.array.itemsize)


def to_ndbridge_s_numpy(facts):
    return []


def to_memoryview(facts):
    return [("d", facts.is_of_ml_dtypes)]


def to_torch(facts):
    return [
        ("r", facts.access == KEPT),
        ("b", facts.runs_backwards),
        ("i", facts.has_odd_strides),
        ("u", facts.is_off_item),
        # Nobody knows whether memory from a legacy capsule may be written, and torch would write.
        ("S!", facts.access != WRITABLE),
    ]


def to_jax(facts):
    return [("x", facts.is_64_bit), ("o", not facts.is_compact), ("a", facts.is_off_64)]


def to_tensorflow(facts):
    return [("d", facts.is_float8), ("o", not facts.is_c_ordered), ("a", facts.is_off_64)]


def by_torch_asarray(facts):
    # It asks for the format first.
    return [("D", facts.is_of_ml_dtypes), *by_torch_frombuffer(facts)]


def by_torch_frombuffer(facts):
    return [
        ("R", facts.access != WRITABLE or not facts.is_c_ordered),
        ("O", not facts.array.size),
        ("s!", facts.is_off_item),
        ("s", True),
    ]


def by_numpy_from_dlpack(facts):
    return [
        ("i", facts.has_odd_strides),
        ("u", facts.is_off_item),
        ("D", facts.is_of_ml_dtypes),
    ]


def by_torch_from_dlpack(facts):
    return [
        # torch is known by its name: it would write whatever the capsule says.
        ("r", facts.access == KEPT),
        ("b", facts.runs_backwards),
        ("i", facts.has_odd_strides),
        ("u", facts.is_off_item),
        ("S!", facts.access != WRITABLE),
    ]


def by_jax_from_dlpack(facts):
    # A legacy capsule, which cannot say that memory is read-only.
    return [
        ("r", facts.access == KEPT),
        ("i", facts.has_odd_strides),
        ("u", facts.is_off_item),
        ("O", not facts.is_compact),
        ("N", facts.is_64_bit),
        ("C", facts.is_off_64),
    ]


def by_tensorflow_from_dlpack(facts):
    return [
        ("r", facts.access == KEPT),
        ("i", facts.has_odd_strides),
        ("u", facts.is_off_item),
        ("D", facts.is_float8),
        ("O", not facts.is_c_ordered),
        ("S!", facts.is_off_64),
    ]


#: By name of the consumer: the outcomes other than sharing, and when each applies.
PROMISES = {
    "`t.numpy()`": to_ndbridge_s_numpy,
    "`np.asarray(t)`": to_ndbridge_s_numpy,
    "`memoryview(t)`": to_memoryview,
    "`t.torch()`": to_torch,
    "`t.jax()`": to_jax,
    "`t.tensorflow()`": to_tensorflow,
    "`torch.asarray(t)`": by_torch_asarray,
    "`torch.frombuffer(t)`": by_torch_frombuffer,
    "`np.from_dlpack(t)`": by_numpy_from_dlpack,
    "`torch.from_dlpack(t)`": by_torch_from_dlpack,
    "`jnp.from_dlpack(t)`": by_jax_from_dlpack,
    "`tf.from_dlpack(t)`": by_tensorflow_from_dlpack,
}


#: Consumers that lose the shape.
AS_ONE_AXIS = ("`torch.asarray(t)`", "`torch.frombuffer(t)`")


def promised(consumer, facts):
    """The outcomes that apply, the first of which decides; `S` if none does.

    A refusal may name any reason that applies.
    """
    outcomes = [outcome for outcome, applies in PROMISES[consumer](facts) if applies]
    return outcomes or ["S"]
