"""Random walks of memory through all libraries: who shares still shares, whoever was let go."""

import contextlib
import gc
import weakref

import ndbridge as nd
import numpy as np
import pytest

from conftest import Watched
from frameworks import aligned_array, jnp, tf, to_numpy, torch

COUNT = 16


class Walk:
    """Holders of memory, each beside a plain NumPy view that is treated alike: the model."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.holders, self.alive, self.crossings = [], [], 0

    def pick(self, choices):
        return choices[self.rng.integers(len(choices))]

    def source(self):
        values = self.rng.integers(0, 100, COUNT).astype("f4")
        array = aligned_array((COUNT,), "f4").view(Watched)
        array[...] = values
        self.alive.append(weakref.ref(array))
        makers = [
            lambda: array,
            lambda: nd.from_numpy(array),
            lambda: nd.tensor(values),
            lambda: nd.constant(values),
            lambda: torch.tensor(values),
            lambda: jnp.array(values).block_until_ready(),
            lambda: tf.constant(values),
        ]
        self.holders.append((self.pick(makers)(), values.copy()))

    def cross(self, x, model):
        """To ndbridge, or from it to some library; refusals are none of this test's business."""
        if not isinstance(x, nd.Tensor):
            takings = [nd.asarray, nd.from_dlpack, lambda x: nd.asarray(x, copy=False)]
            self.holders.append((self.pick(takings)(x), model))
            return
        exports = [
            lambda: x.numpy(), lambda: x.torch(), lambda: x.jax(), lambda: x.tensorflow(),
            lambda: np.asarray(memoryview(x)), lambda: np.from_dlpack(x),
            lambda: torch.from_dlpack(x),
        ]  # fmt: skip
        # torch refuses axes that run backwards in words of its own.
        with contextlib.suppress(BufferError, RuntimeError):
            self.holders.append((self.pick(exports)(), model))
            self.crossings += 1

    def view(self, x, model):
        steps = [np.s_[1:], np.s_[::2], np.s_[::-1], np.s_[:0], np.s_[:]]
        at = self.pick(steps)
        if isinstance(x, nd.Tensor | np.ndarray):
            self.holders.append((x[at], model[at]))

    def write(self, x, model):
        if isinstance(x, nd.Tensor) and x.readonly:
            return
        if isinstance(x, np.ndarray) and not x.flags.writeable:
            return
        value = float(self.rng.integers(100, 200))
        if isinstance(x, nd.Tensor | torch.Tensor):
            x.fill_(value)
        elif isinstance(x, np.ndarray):
            x[...] = value
        else:
            return
        model[...] = value

    def step(self):
        if len(self.holders) < 3 or self.rng.random() < 0.05:
            return self.source()
        index = self.rng.integers(len(self.holders))
        if self.rng.random() < 0.25:
            del self.holders[index]
            return None
        return self.pick([self.cross, self.cross, self.view, self.write])(*self.holders[index])

    def check(self):
        for x, model in self.holders:
            seen = to_numpy(x.numpy() if isinstance(x, nd.Tensor) else x)
            assert seen.tolist() == model.tolist(), type(x)


@pytest.mark.parametrize("seed", range(20))
def test_shr_4_memory_that_walks_through_all_libraries_stays_shared(seed):
    walk = Walk(seed)
    for number in range(400):
        walk.step()
        if number % 20 == 0:
            walk.check()
    walk.check()
    assert walk.crossings > 20
    walk.holders.clear()
    # What was let go without the GIL goes with the next call.
    nd.zeros(1)
    gc.collect()
    assert not any(array() is not None for array in walk.alive)
