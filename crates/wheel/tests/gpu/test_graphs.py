"""CUDA graphs that torch captures: work of ours is recorded, nothing waits, nothing is missing."""

import ndbridge as nd
import pytest

torch = pytest.importorskip("torch")


def ours(stream):
    return nd.cuda.Stream.external(stream.cuda_stream)


@pytest.fixture
def parts():
    """A source and two targets of torch's, ready, and a stream on which everything ran once."""
    stream = torch.cuda.Stream()
    source = torch.arange(64.0 * 48, device="cuda").reshape(64, 48)
    target, turned = torch.zeros(64, 48, device="cuda"), torch.zeros(48, 64, device="cuda")
    torch.cuda.synchronize()
    with torch.cuda.stream(stream), ours(stream):
        work(source, target, turned)
    torch.cuda.synchronize()
    return stream, source, target, turned


def work(source, target, turned):
    """A block, a transposition, a fill, and a kernel of torch's after them."""
    taken = nd.from_dlpack(source)
    nd.from_dlpack(target).copy_(taken)
    nd.from_dlpack(turned).copy_(taken.T)
    nd.from_dlpack(turned)[0].fill_(7)
    turned.add_(1)


def test_a_captured_graph_does_it_again(parts):
    stream, source, target, turned = parts
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream), ours(stream):
        work(source, target, turned)
    for factor in (2, 3):
        source.copy_(torch.arange(64.0 * 48, device="cuda").reshape(64, 48) * factor)
        target.zero_()
        turned.zero_()
        graph.replay()
        torch.cuda.synchronize()
        assert torch.equal(target, source)
        expected = source.t().contiguous()
        expected[0] = 7
        assert torch.equal(turned, expected + 1)


def test_tensors_made_before_are_used_in_a_capture(parts):
    stream, source, target, _ = parts
    with torch.cuda.stream(stream), ours(stream):
        # Here: what was used on another stream before would have to be waited for.
        taken, into = nd.from_dlpack(source), nd.from_dlpack(target)
        into.copy_(taken)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream), ours(stream):
        into.copy_(taken)
        into.torch().mul_(2)
    target.zero_()
    graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(target, source * 2)


def test_what_would_wait_or_allocate_is_refused_and_the_capture_goes_on(parts):
    stream, source, target, _ = parts
    with torch.cuda.stream(stream), ours(stream):
        taken, into = nd.from_dlpack(source), nd.from_dlpack(target)
    graph = torch.cuda.CUDAGraph()
    refused = []
    with torch.cuda.graph(graph, stream=stream), ours(stream):
        nd.from_dlpack(target).copy_(nd.from_dlpack(source))
        for call in (taken.cpu, taken.clone, nd.cuda.current_stream().synchronize):
            try:
                call()
            except Exception as error:
                refused.append(str(error))
    assert len(refused) == 3, refused
    assert all("captur" in text for text in refused), refused
    target.zero_()
    graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(target, source)
    assert into.cpu().tolist() == source.tolist()


def test_memory_of_others_is_freed_during_a_capture(parts):
    stream, source, target, turned = parts
    bystander = nd.zeros(1 << 16, "float32").cuda()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream), ours(stream):
        work(source, target, turned)
        del bystander
    graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(target, source)
