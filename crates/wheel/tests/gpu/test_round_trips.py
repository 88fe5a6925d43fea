"""To the device and back: every data type, every layout, every kind of host memory."""

import ndbridge as nd
import numpy as np
import pytest

from on_gpu import DTYPES, NUMPY_DTYPES, VIEWS, bits, on_host


def test_there_is_a_device():
    assert nd.cuda.is_available() and nd.cuda.device_count() >= 1
    assert nd.cuda.device_name()
    stats = nd.cuda.memory_stats()
    assert 0 < stats["free_bytes"] <= stats["total_bytes"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("view", VIEWS)
def test_dev_2_a_view_of_the_host_goes_there_and_back(dtype, view):
    host = VIEWS[view](on_host(dtype))
    there = host.cuda()
    assert (there.device, there.shape, there.dtype) == ("cuda:0", host.shape, host.dtype)
    assert there.receipt.action == "copied"
    assert bits(there) == bits(host)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("view", VIEWS)
def test_dev_2_a_view_on_the_device_comes_back(dtype, view):
    host = on_host(dtype)
    there = VIEWS[view](host.cuda())
    expected = bits(VIEWS[view](host))
    assert there.device == "cuda:0"
    assert bits(there) == expected
    assert bits(there.clone()) == expected
    assert bits(there.contiguous()) == bits(there.contiguous("F")) == expected


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_the_elements_are_those_that_numpy_sees(dtype):
    host = on_host(dtype)
    back = host.cuda().T.cpu().numpy()
    np.testing.assert_array_equal(back, host.numpy().T)
    assert back.dtype == np.dtype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_pinned_memory_goes_there_and_back(dtype):
    host = on_host(dtype)
    pinned = host.pin_memory()
    assert pinned.is_pinned() and not host.is_pinned()
    assert pinned.data_ptr() != host.data_ptr()
    assert pinned.pin_memory().data_ptr() == pinned.data_ptr()
    assert bits(pinned) == bits(pinned.cuda()) == bits(host)


def test_shr_5_what_is_there_already_is_shared():
    host = on_host("float32")
    there = host.cuda()
    for same in (there.cuda(), there.cuda(0), there.to("cuda:0"), there.to("cuda")):
        assert same.data_ptr() == there.data_ptr()
        assert same.receipt.copied_bytes in (0, host.nbytes)
    assert host.cpu().data_ptr() == host.to("cpu").data_ptr() == host.data_ptr()
    assert bits(there.to("cpu")) == bits(host)


def test_fields_of_records_and_unaligned_memory_go_there():
    record = np.zeros(100, [("a", "u1"), ("x", "f8"), ("b", "u2")])
    record["x"] = np.arange(100) / 8
    there = nd.from_numpy(record["x"]).cuda()
    np.testing.assert_array_equal(there.cpu().numpy(), record["x"])
    raw = np.zeros(801, "u1")
    unaligned = raw[1:].view("f8")
    unaligned[...] = record["x"]
    assert bits(nd.from_numpy(unaligned).cuda()) == bits(there)


@pytest.mark.parametrize("size", [1, 4095, (4 << 20) + 1, (32 << 20) - 1, (96 << 20) + 7])
def test_large_pageable_memory_is_copied_whole(size):
    host = np.random.default_rng(size).integers(0, 256, size, np.uint8)
    there = nd.from_numpy(host).cuda()
    np.testing.assert_array_equal(there.cpu().numpy(), host)
    again = np.zeros_like(host)
    nd.from_numpy(again).copy_(there)
    np.testing.assert_array_equal(again, host)


def test_dev_4_a_device_that_is_not_there_is_named():
    missing = nd.cuda.device_count()
    with pytest.raises(Exception, match=f"cuda:{missing}"):
        on_host("float32").cuda(missing)
    assert bits(on_host("float32").cuda()) == bits(on_host("float32"))
