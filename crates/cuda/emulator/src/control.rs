//! What tests set and ask.

use ndbridge_cuda_kernels::host::Kernel;

use crate::code::Code;
use crate::machine::{self, Fault, Machine, with};
use crate::order::Order;
use crate::violation::Violation;

/// Makes a new machine: one device for each entry, of so many bytes. Contexts, streams and memory
/// of the former are gone; their handles and addresses are never given again. The machine is
/// initialised (`cuInit`) if the former was.
pub fn configure(devices: &[usize], order: Order) {
    machine::replace(devices, order);
}

/// Forgets violations, counts of calls, faults and errors of contexts, and gives each device the
/// memory it was made with. Contexts, streams and allocations stay; what was queued runs, and the
/// host counts as having waited for it.
pub fn reset() {
    with(|machine| {
        machine.catch_up();
        machine.violations.clear();
        machine.calls.clear();
        machine.faults.clear();
        machine.reserved_past = 0;
        for context in &mut machine.contexts {
            context.sticky = None;
        }
        for device in &mut machine.memory.devices {
            device.limit = device.total;
        }
    });
}

/// Adds a kernel that PTX texts may name.
pub fn register(kernel: &'static Kernel) {
    with(|machine| machine.kernels.insert(kernel.name, kernel));
}

/// Makes one call fail: the `nth` of this name from now on, counted from 0, answers `code` and does
/// nothing else. Names are those of the driver's symbols: `cuMemAlloc_v2`.
pub fn fail(call: &str, nth: u64, code: Code) {
    with(|machine| {
        let nth = machine.count(call) + nth;
        machine.faults.push(Fault { call: call.to_owned(), nth, code });
    });
}

/// Takes back what [`fail`] asked for and has not happened.
pub fn clear_faults() {
    with(|machine| machine.faults.clear());
}

/// How often a function was called.
pub fn calls(call: &str) -> u64 {
    with(|machine| machine.count(call))
}

/// The functions called so far, in alphabetical order.
pub fn call_names() -> Vec<&'static str> {
    with(|machine| machine.calls.keys().copied().collect())
}

/// Bytes allocated on a device; what a pool keeps without using is not counted, nor what a queued
/// free will free.
pub fn used(device: usize) -> usize {
    with(|machine| machine.memory.used(device) as usize)
}

/// The number of live allocations on all devices, counted as in [`used`].
pub fn live() -> usize {
    with(|machine| machine.memory.live().count())
}

/// Shrinks or grows a device's memory.
pub fn limit(device: usize, bytes: usize) {
    with(|machine| machine.memory.devices[device].limit = bytes);
}

/// From now on the driver says of each allocation that so many addresses past its end are reserved
/// with it, as for memory that was mapped into a part of a reserved range.
pub fn reserve_past(bytes: u64) {
    with(|machine| machine.reserved_past = bytes);
}

/// Takes the violations so far. What is queued has not run yet: see [`drain`].
pub fn violations() -> Vec<Violation> {
    with(|machine| std::mem::take(&mut machine.violations))
}

/// Runs everything that is queued, as time passing would. The host is not told: what it does next
/// is still unordered to it.
pub fn drain() {
    with(Machine::drain);
}

/// Runs what is queued and takes the violations, with a leak for each live allocation.
pub fn finish() -> Vec<Violation> {
    with(|machine| {
        machine.drain();
        let live = machine.memory.live();
        let leaks = live.map(|(addr, block)| Violation::Leak { addr, len: block.len });
        machine.violations.extend(leaks.collect::<Vec<_>>());
        std::mem::take(&mut machine.violations)
    })
}

impl Machine {
    fn count(&self, call: &str) -> u64 {
        self.calls.get(call).copied().unwrap_or(0)
    }
}
