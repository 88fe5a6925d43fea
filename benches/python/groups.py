"""What is measured: the groups of contenders and their goals."""

from collections.abc import Callable, Iterator
from typing import Any

import boundary
import floor_peer
import jax.numpy as jnp
import nanobind_peer
import ndbridge as nd
import numpy as np
import tensorflow as tf
import torch

from arrays import FILL, Arrays, address, squares
from timing import Contender, Goal, Group

MODULES = {
    "boundary": boundary,
    "floor_peer": floor_peer,
    "jnp": jnp,
    "nanobind_peer": nanobind_peer,
    "nd": nd,
    "np": np,
    "tf": tf,
    "torch": torch,
}

# Labels that a goal or a reference names.
NANOBIND_READ = "nanobind `ndarray<const float, ndim<2>>`"
RUST_NUMPY_READ = "rust-numpy `PyReadonlyArray2`"
DLPARK = "dlpark `from_dlpack`"
ARG = "**ndbridge `Arg`**"
SIMPLE_NEW = "raw C `PyArray_SimpleNew`"
TO_NUMPY = "**ndbridge `ToNumpy`**"
NANOBIND_TORCH = "nanobind `nb::pytorch`"
TO_TORCH = "**ndbridge `ToTorch`**"
FROM_NUMPY = "**`nd.from_numpy(a)`**"
TORCH_FROM_NUMPY = "`torch.from_numpy(a)`"


def groups() -> Iterator[Group]:
    """Every group, small arrays first; arrays are made when their group is reached."""
    yield empty_calls()
    small = squares(2, "2x2")
    yield from arguments(small)
    yield new_torch_argument(small)
    yield held_argument(small)
    yield from arguments(squares(5120, "100 MiB"))
    yield new_numpy()
    yield new_torch()
    yield from plain_python(small)


def empty_calls() -> Group:
    return Group(
        "An empty function",
        "the timing loop alone",
        [
            Contender("the timing loop alone", "None", {}, is_none),
            call("raw C", "floor_peer.empty", 0, is_none),
            call("PyO3", "boundary.empty", 0, is_none),
            call("nanobind", "nanobind_peer.empty", 0, is_none),
        ],
    )


def arguments(arrays: Arrays) -> Iterator[Group]:
    yield numpy_argument(arrays)
    yield torch_argument(arrays)
    yield jax_argument(arrays)
    yield tensorflow_argument(arrays)


def numpy_argument(arrays: Arrays) -> Group:
    array = arrays.numpy
    return Group(
        f"NumPy array in, {arrays.size}",
        RUST_NUMPY_READ,
        [
            call("raw C API", "floor_peer.read_numpy", array, is_answer),
            call(ARG, "boundary.ndbridge_read", array, is_answer),
            call("**ndbridge `ArgMut`**", "boundary.ndbridge_write", array, is_answer),
            call(
                "rust-numpy `&Bound<PyArray2>` (no borrow)",
                "boundary.rust_numpy_untracked",
                array,
                is_square,
            ),
            call(RUST_NUMPY_READ, "boundary.rust_numpy_read", array, is_answer),
            call("rust-numpy `PyReadwriteArray2`", "boundary.rust_numpy_write", array, is_answer),
            call(NANOBIND_READ, "nanobind_peer.read", array, is_answer),
            call("nanobind `ndarray<float, ndim<2>>`", "nanobind_peer.write", array, is_answer),
            call(DLPARK, "boundary.dlpark_read", array, is_square),
        ],
        [Goal(ARG, RUST_NUMPY_READ, 0.6), Goal(ARG, NANOBIND_READ, 0.5)],
    )


def torch_argument(arrays: Arrays) -> Group:
    tensor = arrays.torch
    return Group(
        f"torch tensor in, {arrays.size}",
        NANOBIND_READ,
        [
            call(ARG, "boundary.ndbridge_read", tensor, is_answer),
            call("**ndbridge `ArgMut`**", "boundary.ndbridge_write", tensor, is_answer),
            call(DLPARK, "boundary.dlpark_read", tensor, is_square),
            call(NANOBIND_READ, "nanobind_peer.read", tensor, is_answer),
            call("nanobind `ndarray<float, ndim<2>>`", "nanobind_peer.write", tensor, is_answer),
            call(
                "rust-numpy, through `t.numpy()`",
                "boundary.rust_numpy_read",
                tensor,
                is_answer,
                "call(x.numpy())",
            ),
        ],
        [Goal(ARG, NANOBIND_READ, 0.1), Goal(ARG, DLPARK, 0.6)],
    )


def new_torch_argument(arrays: Arrays) -> Group:
    """Where the storage is not known yet: it is made one that torch does not resize."""
    tensor = arrays.torch
    clone = "call(x.clone())"
    return Group(
        f"A new torch tensor in, {arrays.size}",
        NANOBIND_READ,
        [
            Contender("`x.clone()` alone", "x.clone()", {"x": tensor}, is_filled),
            call(ARG, "boundary.ndbridge_read", tensor, is_answer, clone),
            call(DLPARK, "boundary.dlpark_read", tensor, is_square, clone),
            call(NANOBIND_READ, "nanobind_peer.read", tensor, is_answer, clone),
        ],
    )


def held_argument(arrays: Arrays) -> Group:
    return Group(
        f"NumPy array in, without the GIL, {arrays.size}",
        ARG,
        [
            call(ARG, "boundary.ndbridge_read", arrays.numpy, is_answer),
            call("**and `hold`**", "boundary.ndbridge_hold", arrays.numpy, is_answer),
            call("**and `detach`**", "boundary.ndbridge_detach", arrays.numpy, is_answer),
        ],
    )


def jax_argument(arrays: Arrays) -> Group:
    return Group(
        f"JAX array in, {arrays.size}",
        NANOBIND_READ,
        immutable_argument(arrays.jax),
        [Goal(ARG, NANOBIND_READ, 0.3)],
    )


def tensorflow_argument(arrays: Arrays) -> Group:
    return Group(
        f"TensorFlow tensor in, {arrays.size}",
        NANOBIND_READ,
        immutable_argument(arrays.tensorflow),
        [Goal(ARG, NANOBIND_READ, 0.8)],
    )


def immutable_argument(array: Any) -> list[Contender]:
    return [
        call(ARG, "boundary.ndbridge_read", array, is_answer),
        call(DLPARK, "boundary.dlpark_read", array, is_square),
        call(NANOBIND_READ, "nanobind_peer.read", array, is_answer),
        call(
            "rust-numpy, through `np.asarray(x)`",
            "boundary.rust_numpy_read",
            array,
            is_answer,
            "call(np.asarray(x))",
        ),
    ]


def new_numpy() -> Group:
    return Group(
        "New array out to NumPy, 2x2",
        SIMPLE_NEW,
        [
            make(SIMPLE_NEW, "floor_peer.new_numpy", is_small_numpy),
            make(TO_NUMPY, "boundary.ndbridge_new_numpy", is_zeros_numpy),
            make("rust-numpy `PyArray2::zeros`", "boundary.rust_numpy_zeros", is_zeros_numpy),
            make("rust-numpy `into_pyarray`", "boundary.rust_numpy_into", is_zeros_numpy),
            make("nanobind `nb::numpy`", "nanobind_peer.new_numpy", is_zeros_numpy),
            make("`np.zeros`", "np.zeros", is_zeros_numpy, "call((2, 2), np.float32)"),
        ],
        [Goal(TO_NUMPY, SIMPLE_NEW, 1.7)],
    )


def new_torch() -> Group:
    return Group(
        "New array out to torch, 2x2",
        NANOBIND_TORCH,
        [
            make(TO_TORCH, "boundary.ndbridge_new_torch", is_zeros_torch),
            make(NANOBIND_TORCH, "nanobind_peer.new_torch", is_zeros_torch),
            make("`torch.zeros`", "torch.zeros", is_zeros_torch, "call((2, 2))"),
        ],
        [Goal(TO_TORCH, NANOBIND_TORCH, 0.4)],
    )


def plain_python(arrays: Arrays) -> Iterator[Group]:
    """Calls of our Python package beside those of the frameworks."""
    yield from_numpy(arrays)
    yield to_numpy(arrays)
    yield to_torch(arrays)
    yield to_jax(arrays)
    yield to_tensorflow(arrays)


def from_numpy(arrays: Arrays) -> Group:
    return Group(
        "NumPy array to a tensor, in Python",
        TORCH_FROM_NUMPY,
        [
            share(FROM_NUMPY, "nd.from_numpy(a)", arrays),
            share(TORCH_FROM_NUMPY, "torch.from_numpy(a)", arrays),
            share("`torch.from_dlpack(a)`", "torch.from_dlpack(a)", arrays),
        ],
        [Goal(FROM_NUMPY, TORCH_FROM_NUMPY, 1.0)],
    )


def to_numpy(arrays: Arrays) -> Group:
    ours, peer = "**ndbridge `t.numpy()`**", "torch `t.numpy()`"
    return Group(
        "Tensor to a NumPy array, in Python",
        peer,
        [
            share(ours, "t.numpy()", arrays),
            share("**`np.asarray(t)`**, ndbridge's `t`", "np.asarray(t)", arrays),
            share(peer, "torch_t.numpy()", arrays),
            share("`np.asarray(t)`, torch's `t`", "np.asarray(torch_t)", arrays),
        ],
        [Goal(ours, peer, 1.0)],
    )


def to_torch(arrays: Arrays) -> Group:
    ours = "**ndbridge `t.torch()`**"
    return Group(
        "Tensor to a torch tensor, in Python",
        TORCH_FROM_NUMPY,
        [
            share(ours, "t.torch()", arrays),
            share("**`torch.from_dlpack(t)`**, ndbridge's `t`", "torch.from_dlpack(t)", arrays),
            share(TORCH_FROM_NUMPY, "torch.from_numpy(a)", arrays),
            share("`torch.from_dlpack(a)`", "torch.from_dlpack(a)", arrays),
        ],
        [Goal(ours, TORCH_FROM_NUMPY, 1.0)],
    )


def to_jax(arrays: Arrays) -> Group:
    peer = "`jnp.from_dlpack(a)`"
    return Group(
        "Tensor to a JAX array, in Python",
        peer,
        [
            share("**ndbridge `t.jax()`**", "t.jax()", arrays),
            share("**`jnp.from_dlpack(t)`**, ndbridge's `t`", "jnp.from_dlpack(t)", arrays),
            share(peer, "jnp.from_dlpack(a)", arrays),
        ],
    )


def to_tensorflow(arrays: Arrays) -> Group:
    peer = "`from_dlpack(a.__dlpack__())`"
    setup = "call = tf.experimental.dlpack.from_dlpack"
    return Group(
        "Tensor to a TensorFlow tensor, in Python, beside `tf.experimental.dlpack.from_dlpack`",
        peer,
        [
            share("**ndbridge `t.tensorflow()`**", "t.tensorflow()", arrays),
            share(
                "**`from_dlpack(t.__dlpack__())`**, ndbridge's `t`",
                "call(t.__dlpack__())",
                arrays,
                setup,
            ),
            share(peer, "call(a.__dlpack__())", arrays, setup),
            share(
                "`from_dlpack(t.__dlpack__())`, torch's `t`",
                "call(torch_t.__dlpack__())",
                arrays,
                setup,
            ),
        ],
    )


def call(
    label: str,
    function: str,
    argument: object,
    accepts: Callable[[Any], bool],
    expression: str = "call(x)",
) -> Contender:
    """A function that takes one array."""
    names = {**MODULES, "x": argument}
    return Contender(label, expression, names, accepts, f"call = {function}")


def make(
    label: str, function: str, accepts: Callable[[Any], bool], expression: str = "call()"
) -> Contender:
    """A function that returns a new array."""
    return Contender(label, expression, MODULES, accepts, f"call = {function}")


def share(label: str, expression: str, arrays: Arrays, setup: str = "pass") -> Contender:
    """An expression of `a` (NumPy), `t` (ndbridge) or `torch_t`, all of the same memory."""
    array = arrays.numpy
    names = {**MODULES, "a": array, "t": nd.from_numpy(array), "torch_t": arrays.torch}
    return Contender(label, expression, names, shares_with(array), setup)


def is_none(value: object) -> bool:
    return value is None


def is_answer(value: int) -> bool:
    """The first element, plus 1 because the array is square."""
    return value == FILL + 1


def is_square(value: int) -> bool:
    """The same of a contender that reads no element."""
    return value == 1


def is_filled(value: Any) -> bool:
    """A tensor of the value that all elements have."""
    return bool((value == FILL).all())


def is_small_numpy(value: Any) -> bool:
    return type(value) is np.ndarray and value.shape == (2, 2) and value.dtype == np.float32


def is_zeros_numpy(value: Any) -> bool:
    return is_small_numpy(value) and not value.any()


def is_zeros_torch(value: Any) -> bool:
    return type(value) is torch.Tensor and is_zeros_numpy(value.numpy())


def shares_with(array: Any) -> Callable[[Any], bool]:
    expected = address(array), array.shape
    return lambda value: (address(value), tuple(value.shape)) == expected
