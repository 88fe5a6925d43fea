"""The functions give what NumPy gives, for arrays of every library."""

import array

import ndbridge as nd
import ndbridge_example as example
import numpy as np
import pytest
from ndbridge_example import testing

RNG = np.random.default_rng(5)


def normalised(image, mean, std):
    return (image - mean) / std


def test_normalise_writes_in_place(writable):
    pixels = RNG.random((5, 4, 3), "float32")
    mean, std = RNG.random((2, 3), "float32") + 0.5
    expected = normalised(pixels, mean, std)
    assert example.normalise(writable(pixels), mean, std) is None
    np.testing.assert_allclose(pixels, expected, rtol=1e-6)


def test_normalise_takes_the_numbers_of_any_library(library):
    pixels = RNG.random((5, 4, 3), "float32")
    mean, std = RNG.random((2, 3), "float32") + 0.5
    expected = normalised(pixels, mean, std)
    example.normalise(pixels, library(mean), library(std))
    np.testing.assert_allclose(pixels, expected, rtol=1e-6)


IMAGES = {
    "C": lambda image: image,
    "F": np.asfortranarray,
    "flipped": lambda image: image[::-1, ::-1],
    "BGR": lambda image: image[..., ::-1],
    "stepped": lambda image: image[::2, ::3],
    "transposed": lambda image: image.transpose(1, 0, 2),
    "broadcast": lambda image: np.broadcast_to(image[:1], (3, *image.shape[1:])),
    "RGB of RGBA": lambda image: np.zeros((4, 5, 4), "uint8")[..., :3] + image[:4, :5, :1],
    "no rows": lambda image: image[:0],
}


@pytest.mark.parametrize("view", IMAGES.values(), ids=IMAGES)
def test_to_planes_of_any_layout(view):
    image = view(RNG.integers(0, 256, (6, 7, 3), "uint8"))
    expected = np.float32(image.transpose(2, 0, 1)) / np.float32(255)
    np.testing.assert_array_equal(example.to_planes(image), expected)


def test_to_planes_of_any_library(library):
    image = RNG.integers(0, 256, (6, 7, 3), "uint8")
    expected = np.float32(image.transpose(2, 0, 1)) / np.float32(255)
    np.testing.assert_array_equal(example.to_planes(library(image)), expected)


LIKE = {
    "numpy": ("numpy", "ndarray"),
    "torch": ("torch", "Tensor"),
    "jax": ("jaxlib", "ArrayImpl"),
    "tensorflow": ("tensorflow", "EagerTensor"),
    "ndbridge": ("ndbridge", "Tensor"),
    "memoryview": ("builtins", "memoryview"),
}


@pytest.mark.parametrize("like", LIKE)
def test_to_planes_gives_the_library_that_is_named(like):
    if like in ("torch", "jax", "tensorflow"):
        pytest.importorskip(like)
    image = RNG.integers(0, 256, (6, 7, 3), "uint8")
    planes = example.to_planes(image, like=like)
    kind = type(planes)
    assert (kind.__module__.split(".")[0], kind.__name__) == LIKE[like]
    np.testing.assert_array_equal(np.asarray(planes), example.to_planes(image))


def test_a_library_that_is_not_known_is_named():
    with pytest.raises(ValueError, match="expected numpy, torch, .* got cupy"):
        example.to_planes(np.zeros((2, 2, 3), "uint8"), like="cupy")


def test_distances(library):
    x, y = RNG.random((4, 3)), RNG.random((5, 3))
    expected = np.sqrt(((x[:, None] - y) ** 2).sum(-1))
    np.testing.assert_allclose(example.pairwise_distances(library(x), y), expected)
    np.testing.assert_allclose(example.pairwise_distances(y, library(x)), expected.T)


def test_distances_of_one_array_to_itself():
    x = RNG.random((4, 3))
    assert np.diag(example.pairwise_distances(x, x[::-1])[:, ::-1]).tolist() == [0, 0, 0, 0]
    assert example.pairwise_distances(x[:0], x).shape == (0, 4)
    assert example.pairwise_distances(x[:, :0], x[:, :0]).tolist() == np.zeros((4, 4)).tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_total(library, dtype):
    values = np.arange(6, dtype=dtype).reshape(2, 3)
    assert example.total(library(values)) == 15


def test_total_of_what_is_no_tensor():
    doubles = array.array("d", [1.0, 2.0, 4.0])
    for x in (doubles, memoryview(doubles)[::2], memoryview(doubles).cast("B").cast("d", (3, 1))):
        assert example.total(x) == np.asarray(x).sum()


def test_describe_tells_the_memory(writable):
    values = aligned = np.zeros((2, 3), "int16")
    facts = example.describe(writable(values))
    address = aligned.__array_interface__["data"][0]
    assert facts == {"dtype": "int16", "shape": [2, 3], "address": address}


@pytest.mark.parametrize("buffer", [b"abc", bytearray(b"abc"), memoryview(b"xabc")[1:]])
def test_describe_of_buffers(buffer):
    facts = example.describe(buffer)
    address = np.frombuffer(buffer, "uint8").__array_interface__["data"][0]
    assert facts == {"dtype": "uint8", "shape": [3], "address": address}


COPIES = [
    (np.arange(3.0), "shared, 0 B copied"),
    (np.arange(6.0)[::-2][1:], "shared, 0 B copied"),
    (nd.asarray([1.0, 2.0]), "shared, 0 B copied"),
    (np.arange(3), "copied 24 B"),
    (np.arange(3.0).astype(">f8"), "copied 24 B"),
    (np.frombuffer(bytes(17), "uint8")[1:].view("float64"), "copied 16 B"),
    ([1, 2.5], "copied 16 B"),
    (True, "copied 8 B"),
    (b"ab", "copied 16 B"),
]


@pytest.mark.parametrize(("x", "receipt"), COPIES, ids=repr)
def test_total_of_any_says_what_it_copied(x, receipt):
    total, told = example.total_of_any(x)
    expected = sum(x) if isinstance(x, bytes) else np.asarray(x).sum()
    assert (total, receipt in told) == (expected, True), told


def test_total_of_any_library(library):
    assert example.total_of_any(library(np.arange(6.0)))[0] == 15
    assert example.total_of_any(library(np.arange(6, dtype="float32"))) == (
        15,
        "ArgCow: copied 48 B (dtype)",
    )


def test_shr_4_the_fields_of_a_rust_object_are_arrays():
    velocities = RNG.random((4, 3))
    particles = example.Particles(velocities)
    positions = particles.positions
    particles.step(0.5)
    np.testing.assert_array_equal(positions, velocities / 2)
    positions[...] = 0
    particles.step(2.0)
    again, velocity = particles.fields()
    np.testing.assert_array_equal(again, velocities * 2)
    assert np.shares_memory(again, positions)
    velocity[...] = 0
    particles.step(1.0)
    np.testing.assert_array_equal(positions, velocities * 2)
    del particles
    assert positions.sum() == again.sum()


def test_a_kept_tensor_outlives_the_call(writable):
    values = np.arange(4.0)
    keeper = testing.Keeper(writable(values))
    values[0] = 10
    assert keeper.sum() == 16
    keeper.fill(1.0)
    assert values.tolist() == [1, 1, 1, 1]
    lent = keeper.lend("numpy")
    del values
    assert lent.tolist() == [1, 1, 1, 1]


def test_elements_that_others_write_are_summed(library):
    assert testing.shared_sum(library(np.arange(12.0).reshape(3, 4)[:, ::2])) == 30
    assert testing.shared_sum(library(np.array(3.0))) == 3
