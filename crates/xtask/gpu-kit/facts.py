"""Asks a CUDA driver what ndbridge and its emulated driver assume. Usage: facts.py OUT.json

Needs neither ndbridge nor NumPy, and takes seconds. `NDBRIDGE_CUDA_DRIVER` names another driver
than the machine's: on the emulated one the same script gives what compare_facts.py compares with.
What is known so far is written after each section, so that a crash loses one of them.
"""

import ctypes as c
import json
import os
import sys
import threading
import time

u8, u64, size, integer = c.c_ubyte, c.c_uint64, c.c_size_t, c.c_int
GLOBAL, THREAD_LOCAL, RELAXED = range(3)
MODES = {"GLOBAL": GLOBAL, "THREAD_LOCAL": THREAD_LOCAL, "RELAXED": RELAXED}
PTX = b".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry k()\n{\n\tret;\n}\n"
LEGACY = u64(1)
THRESHOLD, RESERVED, USED = 4, 5, 7
MIB = 1 << 20


class PoolProperties(c.Structure):
    _fields_ = [
        ("allocation", integer), ("handles", integer), ("kind", integer), ("device", integer),
        ("security", c.c_void_p), ("rest", u8 * 64),
    ]  # fmt: skip


class Driver:
    """Calls by name; each answers its code."""

    def __init__(self, path):
        self.library = c.CDLL(path)
        self.is_emulated = hasattr(self.library, "ndbridge_emulator_reset")

    def __getattr__(self, name):
        function = getattr(self.library, name)
        setattr(self, name, function)
        return function

    def ask(self, name, *arguments, result=u64, last=False):
        """The result that a call writes, and its code."""
        value = result()
        place = (c.byref(value),)
        code = getattr(self, name)(*(arguments + place if last else place + arguments))
        return (value.value if code == 0 else None), code

    def make(self, name, *arguments, result=u64):
        value, code = self.ask(name, *arguments, result=result)
        if code != 0:
            raise RuntimeError(f"{name} answers {code}")
        return value


class Setup:
    """A context of the first device, streams, a pool, and room on both sides."""

    def __init__(self, driver):
        self.driver = driver
        self.context = u64(driver.make("cuDevicePrimaryCtxRetain", 0))
        self.enter()
        self.blocking = u64(driver.make("cuStreamCreate", 0))
        self.apart = u64(driver.make("cuStreamCreate", 1))
        self.pool = u64(driver.make("cuMemPoolCreate", c.byref(PoolProperties(1, 0, 1, 0))))
        driver.cuMemPoolSetAttribute(self.pool, THRESHOLD, c.byref(u64(2**64 - 1)))
        self.room = u64(self.alloc(MIB)[0])
        self.pageable = c.create_string_buffer(MIB)
        self.synchronize()

    def enter(self):
        self.driver.cuCtxSetCurrent(self.context)

    def synchronize(self):
        return self.driver.cuCtxSynchronize()

    def alloc(self, length, stream=None):
        """An address of the pool, and the call's code."""
        stream = stream or self.blocking
        return self.driver.ask("cuMemAllocFromPoolAsync", size(length), self.pool, stream)

    def free(self, address, stream=None):
        return self.driver.cuMemFreeAsync(u64(address), stream or self.blocking)

    def gauge(self):
        """Reserved and used bytes of the pool."""
        ask = self.driver.ask
        return [
            ask("cuMemPoolGetAttribute", self.pool, which, last=True)[0]
            for which in (RESERVED, USED)
        ]


def machine(driver):
    """What belongs to the machine: written, and compared with nothing."""
    facts = {"driver": driver.ask("cuDriverGetVersion", result=integer)[0]}
    facts["is_emulated"] = driver.is_emulated
    attributes = {
        "compute_capability": 75, "multiprocessors": 16, "l2_bytes": 38, "compute_mode": 20,
        "pageable_memory_access": 88, "host_page_tables": 100, "hmm_direct": 101,
    }  # fmt: skip
    for name, number in attributes.items():
        facts[name] = driver.ask("cuDeviceGetAttribute", number, 0, result=integer)[0]
    return facts


def before_a_context(driver):
    return {
        "memory info": driver.cuMemGetInfo_v2(c.byref(size()), c.byref(size())),
        "pop of an empty stack": driver.cuCtxPopCurrent_v2(c.byref(u64())),
        "attribute of unknown memory": attribute(driver, 0xDEAD_0000_0000, 2)["code"],
        "pools": driver.ask("cuDeviceGetAttribute", 115, 0, result=integer)[0],
    }


def attribute(driver, address, number):
    """Code, length and value of a pointer attribute."""
    buffer = (u8 * 16)(*[0xAA] * 16)
    code = driver.cuPointerGetAttribute(buffer, number, u64(address))
    raw = bytes(buffer)
    written = len(raw.rstrip(b"\xaa")) if code == 0 else 0
    # A value may end in the filling: then it is longer than it looks.
    return {"code": code, "bytes": written, "value": int.from_bytes(raw[:written], "little")}


def addresses(setup):
    """What the driver tells of addresses of each kind, as relations that hold on any machine."""
    driver = setup.driver
    pooled, plain = setup.alloc(600)[0], driver.make("cuMemAlloc_v2", size(600))
    pinned = driver.make("cuMemHostAlloc", size(5000), 1)
    memory = c.create_string_buffer(1 << 16)
    registered = (c.addressof(memory) + 4095) & ~4095
    code = driver.cuMemHostRegister_v2(u64(registered), size(8192), 1)
    setup.synchronize()
    facts = {"register": code, "pointer is a multiple of 512": pooled % 512 == 0}
    kinds = {
        "pooled": (pooled, 600),
        "plain": (plain, 600),
        "pinned": (pinned, 5000),
        "registered": (registered, 8192),
    }
    for name, (start, length) in kinds.items():
        facts[name] = of_address(driver, setup.context, start, length)
    facts["stack"] = attribute(driver, id(facts), 2)["code"]
    driver.cuMemHostUnregister(u64(registered))
    driver.cuMemFreeHost(u64(pinned))
    driver.cuMemFree_v2(u64(plain))
    setup.free(pooled)
    setup.synchronize()
    return facts


def of_address(driver, context, start, length):
    def ask(number, address=start):
        return attribute(driver, address, number)

    range_start, range_size = ask(11), ask(12)
    has_range = range_start["code"] == range_size["code"] == 0
    end = range_start["value"] + range_size["value"]
    return {
        "type": ask(2)["value"],
        "is managed": ask(8)["value"],
        "ordinal": ask(9)["value"],
        "in the context": {0: "none", context.value: "this"}.get(ask(1)["value"], "another"),
        "has a range": has_range,
        "the range holds it": has_range and range_start["value"] <= start and start + length <= end,
        "the range is exact": has_range
        and [range_start["value"], range_size["value"]] == [start, length],
        "mapped: first byte": [ask(13)["code"], ask(13)["value"] & 1],
        "mapped: last byte": [
            ask(13, start + length - 1)["code"],
            ask(13, start + length - 1)["value"] & 1,
        ],
        "has a pool": ask(17)["value"] != 0,
    }


def pools(setup):
    """Figures of a pool, and whether the bounds hold that tests may rely on."""
    facts, before = {}, setup.gauge()
    all_addresses = [setup.alloc(length)[0] for length in (1, 600, MIB, 64 * MIB)]
    held = setup.gauge()
    facts["figures"] = {"before": before, "4 allocations": held}
    asked = 1 + 600 + 65 * MIB
    facts["used grows by at least what is asked"] = held[1] - before[1] >= asked
    facts["used is counted in more than bytes"] = held[1] - before[1] > asked
    facts["reserved is at least used"] = held[0] >= held[1]
    for address in all_addresses:
        setup.free(address)
    facts["figures"]["frees queued"] = setup.gauge()
    setup.synchronize()
    after = setup.gauge()
    facts["figures"]["frees done"] = after
    facts["used falls once the frees are done"] = after[1] == before[1]
    setup.driver.cuMemPoolTrimTo(setup.pool, size(0))
    trimmed = setup.gauge()
    facts["figures"]["trimmed"] = trimmed
    facts["a trim gives back what is large and unused"] = trimmed[0] <= held[0] - 64 * MIB
    facts["too much"] = [setup.alloc(1 << 48)[1], setup.alloc(300 << 30)[1]]
    facts["reuse"] = reuse(setup)
    return facts


def reuse(setup):
    """Whether a freed address comes again: these are not compared, as they depend on the moment."""
    first = setup.alloc(8 * MIB)[0]
    setup.synchronize()
    setup.free(first)
    same = setup.alloc(8 * MIB)[0]
    setup.free(same)
    setup.synchronize()
    other = setup.alloc(8 * MIB, setup.apart)[0]
    setup.free(other, setup.apart)
    setup.synchronize()
    return {"same stream": same == first, "other stream, after": other == first}


def calls(setup):
    """Calls beside a capture, by the names of capture_modes.tsv: each answers a code."""
    driver, room, pageable = setup.driver, setup.room, setup.pageable
    event = u64(driver.make("cuEventCreate", 2))
    driver.cuEventRecord(event, setup.blocking)
    spare = [setup.alloc(4096)[0] for _ in range(40)]
    plain = [driver.make("cuMemAlloc_v2", size(4096)) for _ in range(40)]
    pinned = [driver.make("cuMemHostAlloc", size(4096), 1) for _ in range(40)]
    own = c.create_string_buffer(82 * 4096)
    pages = [((c.addressof(own) + 4095) & ~4095) + 4096 * page for page in range(80)]
    fresh, registered = pages[:40], pages[40:]
    for page in registered:
        driver.cuMemHostRegister_v2(u64(page), size(4096), 1)
    setup.synchronize()

    def made(name, *arguments):
        return lambda: driver.ask(name, *arguments)[1]

    def copied(name, *arguments):
        return lambda: getattr(driver, name)(*arguments)

    small = size(4096)
    return {
        "cuMemAlloc": made("cuMemAlloc_v2", small),
        "cuMemFree": lambda: driver.cuMemFree_v2(u64(plain.pop())),
        "cuMemAllocHost": made("cuMemAllocHost_v2", small),
        "cuMemHostAlloc": made("cuMemHostAlloc", small, 1),
        "cuMemFreeHost": lambda: driver.cuMemFreeHost(u64(pinned.pop())),
        "cuMemAllocManaged": made("cuMemAllocManaged", small, 1),
        "cuMemHostRegister": lambda _memory=own: driver.cuMemHostRegister_v2(
            u64(fresh.pop()), small, 1
        ),
        "cuMemHostUnregister": lambda: driver.cuMemHostUnregister(u64(registered.pop())),
        "cuMemAllocAsync": made("cuMemAllocAsync", small, setup.blocking),
        "cuMemAllocFromPoolAsync": lambda: setup.alloc(4096)[1],
        "cuMemFreeAsync": lambda: setup.free(spare.pop()),
        "cuMemPoolTrimTo": lambda: driver.cuMemPoolTrimTo(setup.pool, size(0)),
        "cuMemGetInfo": lambda: driver.cuMemGetInfo_v2(c.byref(size()), c.byref(size())),
        "cuMemcpyHtoD": copied("cuMemcpyHtoD_v2", room, pageable, small),
        "cuMemcpyDtoH": copied("cuMemcpyDtoH_v2", pageable, room, small),
        "cuMemcpyDtoD": copied("cuMemcpyDtoD_v2", room, u64(room.value + 4096), small),
        "pageable copy": copied("cuMemcpyHtoDAsync_v2", room, pageable, small, setup.blocking),
        "pageable copy to the host": copied(
            "cuMemcpyDtoHAsync_v2", pageable, room, small, setup.blocking
        ),
        "cuStreamCreate": made("cuStreamCreate", 0),
        "cuStreamQuery": lambda: driver.cuStreamQuery(setup.blocking),
        "cuStreamSynchronize": lambda: driver.cuStreamSynchronize(setup.blocking),
        "cuEventCreate": made("cuEventCreate", 2),
        "cuEventQuery": lambda: driver.cuEventQuery(event),
        "cuEventSynchronize": lambda: driver.cuEventSynchronize(event),
        "cuEventRecord": lambda: driver.cuEventRecord(event, setup.blocking),
        "cuPointerGetAttribute": lambda: attribute(driver, room.value, 2)["code"],
        "cuModuleLoadData": lambda: driver.cuModuleLoadDataEx(c.byref(u64()), PTX, 0, None, None),
        # Not by modes: what conflicts with a capture, and what does not.
        "cuCtxSynchronize": setup.synchronize,
        "cuStreamIsCapturing of the legacy stream": lambda: driver.cuStreamIsCapturing(
            LEGACY, c.byref(integer())
        ),
        "cuEventRecord on the legacy stream": lambda: driver.cuEventRecord(event, LEGACY),
        "the captured stream waits for an event of before": lambda: driver.cuStreamWaitEvent(
            setup.apart, event, 0
        ),
    }


def captures(setup):
    """Of each call, in each mode of capture and thread: its code, and that of the capture's end."""
    table = {}
    for name, call in calls(setup).items():
        table[name] = {}
        for capture, thread in [(a, b) for a in MODES for b in MODES]:
            for place in ("own", "other"):
                cell = f"{capture} {thread} {place}"
                table[name][cell] = beside_a_capture(
                    setup, MODES[capture], MODES[thread], place, call
                )
    return table


def beside_a_capture(setup, capture, thread, place, call):
    driver = setup.driver
    driver.cuStreamSynchronize(setup.blocking)
    if driver.cuStreamBeginCapture_v2(setup.apart, capture) != 0:
        return "no capture"
    codes = []

    def asks():
        setup.enter()
        mode = integer(thread)
        driver.cuThreadExchangeStreamCaptureMode(c.byref(mode))
        codes.append(call())
        driver.cuThreadExchangeStreamCaptureMode(c.byref(mode))

    if place == "own":
        asks()
    else:
        helper = threading.Thread(target=asks)
        helper.start()
        helper.join()
    graph, end = driver.ask("cuStreamEndCapture", setup.apart, last=True)
    if graph:
        driver.cuGraphDestroy(u64(graph))
    return f"{codes[0]}/{end}"


def streams(setup):
    """What waits for the legacy default stream, and what a copy of pageable memory does."""
    driver, facts = setup.driver, {}
    length = 8 * MIB if driver.is_emulated else 2048 * MIB
    large, code = driver.ask("cuMemAlloc_v2", size(length))
    if code != 0:
        return {"no room": code}

    def keep_busy(stream):
        for _ in range(60):
            driver.cuMemsetD8Async(u64(large), u8(1), size(length), stream)

    event = u64(driver.make("cuEventCreate", 2))
    for name, stream in (("blocking", setup.blocking), ("non-blocking", setup.apart)):
        setup.synchronize()
        keep_busy(LEGACY)
        driver.cuEventRecord(event, stream)
        driver.cuEventSynchronize(event)
        is_done = driver.cuStreamQuery(LEGACY) == 0
        facts[f"an event of a {name} stream waits for the legacy stream"] = is_done
    setup.synchronize()
    source = c.create_string_buffer(b"\1" * 60000, 60000)
    keep_busy(setup.blocking)
    driver.cuMemcpyHtoDAsync_v2(setup.room, source, size(60000), setup.blocking)
    c.memset(source, 2, 60000)
    setup.synchronize()
    back = c.create_string_buffer(60000)
    driver.cuMemcpyDtoH_v2(back, setup.room, size(60000))
    facts["pageable memory is read before the call returns"] = back.raw == b"\1" * 60000
    driver.cuMemFree_v2(u64(large))
    return facts


def host_functions(setup):
    """On which thread a stream calls, and whether a query waits for it."""
    driver, seen = setup.driver, []
    may_end = threading.Event()

    @c.CFUNCTYPE(None, c.c_void_p)
    def function(_):
        seen.append([threading.get_ident(), driver.cuStreamQuery(setup.blocking)])
        may_end.wait(10)

    driver.cuLaunchHostFunc(setup.blocking, function, None)
    codes = [driver.cuStreamQuery(setup.blocking) for _ in range(2)]
    may_end.set()
    setup.synchronize()
    thread, inside = seen[0]
    return {
        "on a thread of its own": thread != threading.get_ident(),
        "a query finds it under way": codes[-1],
        "calls from within": inside,
    }


def forked(setup):
    """What calls answer in a child."""
    driver = setup.driver
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        codes = {
            "cuInit": driver.cuInit(0),
            "cuCtxGetCurrent": driver.cuCtxGetCurrent(c.byref(u64())),
            "cuDeviceGetCount": driver.cuDeviceGetCount(c.byref(integer())),
            "cuStreamQuery": driver.cuStreamQuery(setup.blocking),
            "cuMemFreeAsync": setup.free(setup.room.value),
        }
        os.write(sink, json.dumps(codes).encode())
        os._exit(0)
    os.close(sink)
    answer = os.read(source, 4096).decode()
    _, status = os.waitpid(child, 0)
    return {"codes": json.loads(answer) if answer else None, "status": status}


def main(out):
    facts, begun = {}, time.time()

    def keep(name, work, *arguments):
        try:
            facts[name] = work(*arguments)
        except Exception as error:  # noqa: BLE001, the sections behind it are worth having
            facts[name] = {"failed": repr(error)}
        print(f"{name}: {json.dumps(facts[name])[:300]}", flush=True)
        with open(out, "w") as file:
            json.dump(facts, file, indent=1)

    driver = Driver(os.environ.get("NDBRIDGE_CUDA_DRIVER", "libcuda.so.1"))
    code = driver.cuInit(0)
    facts["init"] = code
    if code != 0:
        keep("machine", dict)
        return 1
    keep("machine", machine, driver)
    keep("before a context", before_a_context, driver)
    setup = Setup(driver)
    keep("addresses", addresses, setup)
    keep("pools", pools, setup)
    keep("captures", captures, setup)
    keep("streams", streams, setup)
    keep("forked", forked, setup)
    # Last: a driver may take a call from within badly.
    keep("host functions", host_functions, setup)
    facts["machine"]["seconds"] = round(time.time() - begun, 1)
    keep("machine", lambda: facts["machine"])
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
