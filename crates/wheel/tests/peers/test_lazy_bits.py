"""torch tensors whose memory is not their value, or that autograd watches."""

import contextlib
import io

import ndbridge as nd
import numpy as np
import pytest

from frameworks import torch


def complex_numbers():
    return torch.tensor([1 + 2j, 3 + 4j])


LAZY = {
    "conj": (lambda: complex_numbers().conj(), "resolve_conj()"),
    "conj of a slice": (lambda: complex_numbers()[1:].conj(), "resolve_conj()"),
    "conj transpose": (lambda: complex_numbers()[None].mH, "resolve_conj()"),
    "neg": (lambda: complex_numbers().conj().imag, "resolve_neg()"),
    "neg of a real": (lambda: torch._neg_view(torch.arange(3.0)), "resolve_neg()"),
    "neg and conj": (lambda: torch._neg_view(complex_numbers().conj()), "resolve_"),
    "a leaf with gradient": (lambda: torch.zeros(3, requires_grad=True), "detach()"),
    "part of a graph": (lambda: torch.zeros(3, requires_grad=True) * 2, "detach()"),
    "a view of a leaf": (lambda: torch.zeros(3, requires_grad=True)[1:], "detach()"),
    "a parameter": (lambda: torch.nn.Parameter(torch.zeros(3)), "detach()"),
    "conj with gradient": (
        lambda: torch.zeros(3, dtype=torch.complex64, requires_grad=True).conj(),
        "detach()|resolve_conj()",
    ),
    "empty with gradient": (lambda: torch.zeros(0, requires_grad=True), "detach()"),
    "empty conj": (lambda: complex_numbers()[:0].conj(), "resolve_conj()"),
}
TAKING = {
    "from_dlpack": nd.from_dlpack,
    "from_dlpack copy=True": lambda x: nd.from_dlpack(x, copy=True),
    "from_dlpack copy=False": lambda x: nd.from_dlpack(x, copy=False),
    "asarray": nd.asarray,
    "asarray copy=True": lambda x: nd.asarray(x, copy=True),
    "asarray copy=False": lambda x: nd.asarray(x, copy=False),
    "asarray dtype": lambda x: nd.asarray(x, dtype="complex128"),
    "tensor": nd.tensor,
    "tensor dtype": lambda x: nd.tensor(x, "complex128"),
    "constant": nd.constant,
    "convert_to_tensor": nd.convert_to_tensor,
    "copy_": lambda x: nd.zeros(tuple(x.shape), "complex128").copy_(x),
    "setitem": lambda x: nd.zeros(tuple(x.shape), "complex128").__setitem__(..., x),
    "shares_memory": lambda x: nd.shares_memory(x, np.zeros(3)),
    "array_equal": lambda x: nd.array_equal(x, np.zeros(3)),
    "save": lambda x: nd.save(io.BytesIO(), x),
    "savez": lambda x: nd.savez(io.BytesIO(), x=x),
    "a list of them": lambda x: nd.tensor([x, x]),
}


@pytest.mark.parametrize("lazy", LAZY)
@pytest.mark.parametrize("take", TAKING)
def test_mut_6_lazy_tensors_are_refused_on_every_path(lazy, take):
    make, advice = LAZY[lazy]
    x = make()
    if take == "a list of them":
        # NumPy reads the elements of lists: it refuses, or computes what the bits say.
        with contextlib.suppress(BufferError, RuntimeError, TypeError):
            assert nd.tensor([x, x]).tolist() == [x.tolist()] * 2
        return
    with pytest.raises(BufferError) as error:
        TAKING[take](x)
    calls = [call for call in advice.split("|") if call in str(error.value)]
    assert calls, str(error.value)


@pytest.mark.parametrize("lazy", LAZY)
def test_mut_6_what_the_refusal_advises_works(lazy):
    make, _ = LAZY[lazy]
    x = make()
    wanted = x.detach().resolve_conj().resolve_neg()
    calls = ("detach", "resolve_conj", "resolve_neg")
    for _ in range(4):
        try:
            t = nd.from_dlpack(x)
            break
        except BufferError as error:
            advised = [call for call in calls if f"{call}()" in str(error)]
            assert advised, str(error)
            x = getattr(x, advised[0])()
    assert t.tolist() == wanted.tolist()


@pytest.mark.parametrize("lazy", LAZY)
def test_mut_6_a_plan_refuses_what_asarray_refuses(lazy):
    x = LAZY[lazy][0]()
    try:
        plan = nd.plan(x)
    except BufferError:
        return
    assert plan.action == "refuse"


HARMLESS = {
    "conj of a real": lambda: torch.arange(3.0).conj(),
    "conj twice": lambda: complex_numbers().conj().conj(),
    "resolved": lambda: complex_numbers().conj().resolve_conj(),
    "conj_physical": lambda: complex_numbers().conj_physical(),
    "real part of a conjugate": lambda: complex_numbers().conj().real,
    "neg twice": lambda: torch._neg_view(torch._neg_view(torch.arange(3.0))),
    "detached": lambda: torch.arange(3.0, requires_grad=True).detach(),
    "a frozen parameter": lambda: torch.nn.Parameter(torch.arange(3.0), requires_grad=False),
    "without gradient": lambda: no_grad_result(),
    "of inference mode": lambda: inference_result(),
    "a subclass": lambda: torch.arange(3.0).as_subclass(Subclass),
}


class Subclass(torch.Tensor):
    pass


def no_grad_result():
    with torch.no_grad():
        return torch.ones(3, requires_grad=True) * 2


def inference_result():
    with torch.inference_mode():
        return torch.arange(3.0) * 2


@pytest.mark.parametrize("make", HARMLESS.values(), ids=HARMLESS)
def test_mut_6_bits_that_are_not_set_do_not_matter(make):
    x = make()
    for take in (nd.from_dlpack, nd.asarray, lambda x: nd.asarray(x, copy=False)):
        t = take(x)
        assert t.data_ptr() == x.data_ptr()
        assert t.tolist() == x.tolist()


def test_mut_6_a_bit_set_later_does_not_reach_a_tensor_taken_before():
    x = torch.ones(3)
    t = nd.from_dlpack(x)
    x.requires_grad_(True)
    assert t.tolist() == [1, 1, 1] and not t.torch().requires_grad
    with pytest.raises(BufferError, match=r"detach\(\)"):
        nd.from_dlpack(x)
