"""Writes and casts on the device, bit by bit those of the host."""

import ndbridge as nd
import numpy as np
import pytest

from on_gpu import DTYPES, VIEWS, bits, on_host


@pytest.mark.parametrize("source", DTYPES)
def test_dty_3_a_cast_gives_the_bits_of_the_host(source):
    host = on_host(source, (37, 29))
    there = host.cuda()
    for target in DTYPES:
        expected = bits(host.astype(target, casting="unsafe"))
        assert bits(there.astype(target, casting="unsafe")) == expected, target
        # The view is cast without gaps first.
        expected = bits(host.T[::2, 3:].astype(target, casting="unsafe"))
        assert bits(there.T[::2, 3:].astype(target, casting="unsafe")) == expected, target


@pytest.mark.parametrize("source", ["float16", "bfloat16", "float32", "float64"])
def test_dty_3_infinities_zeros_and_what_is_out_of_range_too(source):
    values = [np.inf, -np.inf, -0.0, 0.0, 1e300, -1e300, 6e-8, 1e-40, 448.0, 464.0, 465.0, 57344.0]
    values += [2.0**31, -(2.0**31), 2.0**63, 2.0**64, -(2.0**63), 0.5, 1.5, 2.5, 255.5, -0.5]
    host = nd.tensor(np.array(values)).astype(source, casting="unsafe")
    there = host.cuda()
    for target in DTYPES:
        expected = bits(host.astype(target, casting="unsafe"))
        assert bits(there.astype(target, casting="unsafe")) == expected, target


@pytest.mark.parametrize("source", ["float16", "bfloat16", "float32", "float64"])
def test_dty_3_a_nan_stays_one_of_its_sign_and_is_zero_as_integer(source):
    host = nd.tensor(np.array([np.nan, -np.nan, 1.0])).astype(source, casting="unsafe")
    there = host.cuda()
    for target in ("float16", "float32", "float64"):
        back = there.astype(target, casting="unsafe").cpu().numpy()
        expected = host.astype(target, casting="unsafe").numpy()
        assert list(np.isnan(back)) == [True, True, False], target
        np.testing.assert_array_equal(np.signbit(back), np.signbit(expected), err_msg=target)
    assert there.astype("int32", casting="unsafe").tolist() == [0, 0, 1]
    assert there.astype("bool", casting="unsafe").tolist() == [True, True, True]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("view", [name for name in VIEWS if name != "broadcast"])
def test_fill_and_copy_write_what_they_write_on_the_host(dtype, view):
    host = on_host(dtype).clone()
    there = host.cuda()
    for tensor in (host, there):
        VIEWS[view](tensor).fill_(1)
    assert bits(there) == bits(host)
    source = on_host(dtype, seed=1)
    for tensor in (host, there):
        VIEWS[view](tensor).copy_(VIEWS[view](source))
    assert bits(there) == bits(host)
    for tensor in (host, there):
        VIEWS[view](tensor).copy_(VIEWS[view](source.cuda()[::-1]))
    assert bits(there) == bits(host)


def test_assignment_takes_numbers_arrays_and_tensors_of_either_place():
    host = on_host("float32").clone()
    there = host.cuda()
    array = np.arange(8 * 4, dtype=np.float32).reshape(8, 4)
    for tensor in (host, there):
        tensor[0] = 7
        tensor[1:3, ::2] = array[::2]
        tensor[3] = nd.tensor(array)
        tensor[4] = nd.tensor(array).cuda()
        tensor[5, :, 1] = array[:, 0]
        tensor[..., 3] = True
    assert bits(there) == bits(host)
    into = np.zeros((6, 8, 4), np.float32)
    nd.from_numpy(into).copy_(there)
    np.testing.assert_array_equal(into, host.numpy())
    nd.from_numpy(into[:, ::2]).copy_(there[:, 1::2])
    np.testing.assert_array_equal(into[:, ::2], host.numpy()[:, 1::2])


def test_copy_casts_where_that_is_allowed():
    there = nd.zeros(12, "float32").cuda()
    there.copy_(nd.tensor(np.arange(12, dtype=np.int16)))
    assert there.tolist() == list(range(12))
    there.copy_(nd.tensor(np.arange(12) * 2.0).cuda())
    assert there.tolist() == [2.0 * i for i in range(12)]
    integers = nd.zeros(12, "int32").cuda()
    with pytest.raises(TypeError):
        integers.copy_(there)
    with pytest.raises(TypeError):
        integers.fill_(1.5)
    assert integers.tolist() == [0] * 12


def test_an_overlapping_copy_reads_what_was_there():
    host = on_host("int32", (100,)).clone()
    there = host.cuda()
    for tensor in (host, there):
        tensor[1:].copy_(tensor[:-1])
        tensor.copy_(tensor[::-1])
    assert bits(there) == bits(host)


def test_mut_2_read_only_memory_is_not_written_there():
    constant = nd.constant(np.arange(4.0)).cuda()
    view = constant[1:]
    if not constant.readonly:
        # A copy is writable.
        view.fill_(0)
        assert constant.tolist() == [0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("shape", [(1000, 3, 2, 5, 4, 3, 2, 2), (2, 3, 1, 5, 2, 3, 2, 2, 3, 2)])
def test_many_axes_are_permuted(shape):
    host = on_host("int16", shape)
    order = tuple(reversed(range(len(shape))))
    mixed = order[::2] + order[1::2]
    there = host.cuda()
    for axes in (order, mixed):
        assert bits(there.permute(*axes).contiguous()) == bits(host.permute(*axes))
