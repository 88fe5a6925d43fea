"""Large blocks of host memory are used again, and given back when asked."""

import ndbridge as nd
import pytest

from conftest import run_python

MB = 1 << 20


@pytest.fixture
def limit():
    """A way to set the limit, which is put back afterwards."""
    before = nd.cache_stats()["limit_bytes"]
    nd.empty_cache()
    yield nd.set_cache_limit
    nd.set_cache_limit(before)


def test_a_large_block_is_used_again(limit):
    limit(64 * MB)
    x = nd.ones(8 * MB, "uint8")
    first = x.clone()
    at = first.numpy().ctypes.data
    del first
    before = nd.cache_stats()
    assert before["kept_bytes"] == 8 * MB
    again = x[:-100].clone()
    assert again.numpy().ctypes.data == at
    assert nd.cache_stats()["hits"] == before["hits"] + 1
    del again
    nd.empty_cache()
    assert nd.cache_stats()["kept_blocks"] == nd.cache_stats()["kept_bytes"] == 0


def test_zeros_are_zeros_after_reuse(limit):
    limit(64 * MB)
    for size in (100_000, MB, 8 * MB):
        nd.full(size, 7, "uint8")
        assert not nd.zeros(size, "uint8").numpy().any(), size


def test_the_limit_is_kept_and_zero_switches_off(limit):
    limit(3 * MB)
    for size in range(1, 6):
        nd.empty(size * MB, "uint8")
        assert nd.cache_stats()["kept_bytes"] <= 3 * MB
    limit(0)
    nd.empty(MB, "uint8")
    stats = nd.cache_stats()
    assert (stats["kept_blocks"], stats["kept_bytes"], stats["limit_bytes"]) == (0, 0, 0)


def test_the_environment_sets_the_limit(monkeypatch):
    monkeypatch.setenv("NDBRIDGE_CACHE_BYTES", "12345678")
    run_python("import ndbridge as nd; assert nd.cache_stats()['limit_bytes'] == 12345678")
