"""torch tensors on the device: the same memory, in the right order."""

import threading

import ndbridge as nd
import numpy as np
import pytest

from on_gpu import VIEWS, bits, on_host, used_bytes

torch = pytest.importorskip("torch")

#: Names that both have, and that every torch since 2.7 copies on a device.
DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "float16", "bfloat16", "float32", "float64",
    "complex64", "complex128", "float8_e4m3fn", "float8_e5m2",
]  # fmt: skip
LARGE = 1 << 24
#: Some tens of milliseconds of a GPU's clock.
LONG = 50_000_000


def held_up(stream):
    """Work that takes long on a torch stream: who does not wait reads what was there before."""
    with torch.cuda.stream(stream):
        torch.cuda._sleep(LONG)


def test_torch_sees_the_device():
    assert torch.cuda.is_available()
    assert torch.cuda.device_count() == nd.cuda.device_count()


@pytest.mark.parametrize("dtype", DTYPES)
def test_shr_1_a_tensor_goes_to_torch_and_back(dtype):
    there = on_host(dtype).cuda()
    given = there.torch()
    assert given.is_cuda and str(given.dtype) == f"torch.{dtype}"
    assert given.data_ptr() == there.data_ptr()
    assert tuple(given.shape) == there.shape
    back = nd.from_dlpack(given)
    assert back.data_ptr() == there.data_ptr() and back.dtype == there.dtype
    assert bits(back) == bits(there) == bits(on_host(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_shr_1_a_torch_tensor_is_shared_by_every_call(dtype):
    expected = on_host(dtype)
    given = torch.empty(6, 8, 4, dtype=getattr(torch, dtype), device="cuda")
    nd.from_dlpack(given).copy_(expected)
    for take in (nd.from_dlpack, nd.asarray, lambda x: nd.asarray(x, copy=False)):
        taken = take(given)
        assert taken.data_ptr() == given.data_ptr() and taken.device == "cuda:0"
        assert taken.receipt.shared and not taken.readonly
        assert bits(taken) == bits(expected)


@pytest.mark.parametrize("view", [name for name in VIEWS if name != "reversed"])
def test_views_keep_their_strides(view):
    there = VIEWS[view](on_host("float32").cuda())
    given = there.torch()
    assert tuple(given.shape) == there.shape
    np.testing.assert_array_equal(given.cpu().numpy(), there.cpu().numpy())
    if given.numel():
        assert given.data_ptr() == there.data_ptr()
    assert bits(nd.from_dlpack(given)) == bits(there)


def test_axes_walked_backwards_are_refused():
    there = on_host("float32").cuda()
    with pytest.raises(BufferError, match="contiguous"):
        there[::-1].torch()


def test_shr_4_writes_are_seen_on_both_sides():
    given = torch.zeros(1000, device="cuda")
    taken = nd.from_dlpack(given)
    given += 1
    assert taken.cpu().numpy().sum() == 1000
    taken.fill_(3)
    torch.cuda.synchronize()
    assert given.sum().item() == 3000
    taken[::2] = 0
    # Ordered by the hand-over, without a wait of the host.
    assert taken.torch().sum().item() == 1500


def test_dev_2_torchs_stream_of_the_moment_is_waited_for():
    stream = torch.cuda.Stream()
    given = torch.zeros(LARGE, device="cuda")
    torch.cuda.synchronize()
    held_up(stream)
    with torch.cuda.stream(stream):
        given += 1
        taken = nd.from_dlpack(given)
    assert set(np.unique(taken.cpu().numpy())) == {1.0}
    held_up(stream)
    with torch.cuda.stream(stream):
        given += 1
        taken = nd.asarray(given)
    copy = taken.clone()
    assert set(np.unique(copy.cpu().numpy())) == {2.0}


def test_dev_2_torchs_stream_waits_for_ours():
    stream = torch.cuda.Stream()
    there = nd.zeros(LARGE, "float32").cuda()
    for value in range(50):
        there.fill_(value)
    with torch.cuda.stream(stream):
        total = there.torch().max()
    stream.synchronize()
    assert total.item() == 49
    for value in range(50):
        there.fill_(value + 1)
    with torch.cuda.stream(stream):
        total = torch.from_dlpack(there).max()
    stream.synchronize()
    assert total.item() == 50


def test_dev_2_torchs_stream_can_be_ours():
    stream = torch.cuda.Stream()
    given = torch.zeros(LARGE, device="cuda")
    taken = nd.from_dlpack(given)
    torch.cuda.synchronize()
    held_up(stream)
    with torch.cuda.stream(stream), nd.cuda.Stream.external(stream.cuda_stream):
        given += 1
        copy = taken.clone()
        taken.fill_(5)
        given += 1
    assert set(np.unique(copy.cpu().numpy())) == {1.0}
    stream.synchronize()
    assert given.max().item() == given.min().item() == 6


def test_work_of_torchs_that_nobody_told_of_is_waited_for_by_an_event():
    stream = torch.cuda.Stream()
    given = torch.zeros(LARGE, device="cuda")
    taken = nd.from_dlpack(given)
    torch.cuda.synchronize()
    held_up(stream)
    with torch.cuda.stream(stream):
        given += 1
    nd.cuda.current_stream().wait_stream(nd.cuda.Stream.external(stream.cuda_stream))
    assert set(np.unique(taken.cpu().numpy())) == {1.0}


def test_our_stream_can_be_torchs():
    ours = nd.cuda.Stream()
    with ours, torch.cuda.stream(torch.cuda.ExternalStream(ours.handle)):
        there = nd.zeros(1000, "float32").cuda()
        given = there.torch()
        given += 2
        there[::2] = 0
        total = given.sum()
    assert total.item() == 1000


@pytest.mark.parametrize("stream", [None, -1, 1, 2, "current"])
def test_a_capsule_for_a_named_stream_is_taken_by_torch(stream):
    there = on_host("float32").cuda()
    if stream == "current":
        stream = torch.cuda.Stream().cuda_stream
    nd.cuda.synchronize()
    given = torch.utils.dlpack.from_dlpack(there.__dlpack__(stream=stream, max_version=(1, 0)))
    assert given.data_ptr() == there.data_ptr()
    np.testing.assert_array_equal(given.cpu().numpy(), on_host("float32").numpy())


@pytest.mark.parametrize("legacy", [True, False])
def test_capsules_of_torch_are_taken(legacy):
    given = torch.arange(12.0, device="cuda")
    capsule = given.__dlpack__() if legacy else given.__dlpack__(stream=1, max_version=(1, 0))
    taken = nd.from_dlpack(capsule)
    assert taken.data_ptr() == given.data_ptr()
    assert taken.tolist() == list(range(12))


class Version2:
    """torch's own dictionary, which names no stream, and nothing else."""

    def __init__(self, tensor):
        self.tensor = tensor

    @property
    def __cuda_array_interface__(self):
        return self.tensor.__cuda_array_interface__


def test_torchs_dictionary_is_taken():
    given = torch.arange(24.0, device="cuda").reshape(4, 6)[:, ::2]
    torch.cuda.synchronize()
    assert Version2(given).__cuda_array_interface__["version"] == 2
    taken = nd.asarray(Version2(given))
    assert taken.data_ptr() == given.data_ptr()
    assert taken.tolist() == given.tolist()
    # Longer than the memory that torch has there.
    lie = {**given.__cuda_array_interface__, "shape": (1 << 40, 3)}
    with pytest.raises((BufferError, ValueError)):
        nd.asarray(type("Lie", (), {"__cuda_array_interface__": lie})())


def test_torch_takes_our_dictionary():
    there = on_host("float32").cuda()

    class Interface:
        __cuda_array_interface__ = there.__cuda_array_interface__

    given = torch.as_tensor(Interface(), device="cuda")
    assert given.data_ptr() == there.data_ptr()
    np.testing.assert_array_equal(given.cpu().numpy(), on_host("float32").numpy())


def test_gradients_and_lazy_bits_are_refused_there_too():
    with pytest.raises((BufferError, TypeError, ValueError), match="detach"):
        nd.from_dlpack(torch.zeros(3, device="cuda", requires_grad=True))
    conjugate = torch.zeros(3, dtype=torch.complex64, device="cuda").conj()
    with pytest.raises((BufferError, TypeError, ValueError), match="resolve_conj"):
        nd.from_dlpack(conjugate)


def test_pinned_memory_of_either_side():
    pinned = torch.arange(12.0).pin_memory()
    taken = nd.from_dlpack(pinned)
    assert taken.data_ptr() == pinned.data_ptr()
    assert taken.cuda().tolist() == list(range(12))
    ours = nd.tensor(np.arange(12.0)).pin_memory()
    given = ours.torch()
    assert given.data_ptr() == ours.data_ptr()
    assert given.cuda().cpu().tolist() == list(range(12))


def test_own_1_memory_lives_in_torch_and_goes_with_it():
    before = used_bytes()
    there = on_host("float32", (1 << 16,)).cuda()
    expected = there.cpu().numpy()
    given = there.torch()[10:]
    del there
    assert used_bytes() > before
    np.testing.assert_array_equal(given.cpu().numpy(), expected[10:])
    del given
    assert used_bytes() == before


def test_own_1_torchs_memory_lives_in_ours():
    given = torch.arange(float(1 << 16), device="cuda")
    address = given.data_ptr()
    taken = nd.from_dlpack(given)[3:]
    del given
    others = [torch.zeros(1 << 16, device="cuda") for _ in range(4)]
    assert address not in [other.data_ptr() for other in others]
    assert taken.tolist()[:2] == [3.0, 4.0]


def test_own_2_torch_lets_go_on_other_threads():
    before = used_bytes()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        given = [on_host("float32", (1 << 16,)).cuda().torch() for _ in range(8)]
        for tensor in given:
            tensor += 1
    tensor = None
    threads = [threading.Thread(target=given.pop) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    torch.cuda.synchronize()
    assert used_bytes() == before


def test_freed_memory_is_not_given_away_under_torchs_kernels():
    stream = torch.cuda.Stream()
    for _ in range(5):
        there = nd.from_numpy(np.full(LARGE, 1, np.uint8)).cuda()
        held_up(stream)
        with torch.cuda.stream(stream):
            given = there.torch()
            copy = given.clone()
        del there, given
        other = nd.from_numpy(np.full(LARGE, 2, np.uint8)).cuda()
        stream.synchronize()
        assert (copy == 1).all().item()
        del other


def test_the_device_that_torch_works_on_stays():
    before = torch.cuda.current_device()
    on_host("float32").cuda().cpu()
    nd.cuda.synchronize()
    assert torch.cuda.current_device() == before
    assert torch.ones(3, device="cuda").sum().item() == 3


def test_casts_are_torchs_where_both_are_defined():
    host = on_host("float32", (257, 33))
    there = host.cuda()
    given = there.torch()
    for name in ("float16", "bfloat16", "float64"):
        theirs = nd.from_dlpack(given.to(getattr(torch, name)))
        assert bits(there.astype(name)) == bits(theirs), name
