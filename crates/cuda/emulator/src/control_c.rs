//! What tests set and ask, for other languages. Described in the README of the shared library.

use std::ffi::{CStr, c_char, c_int};

use crate::control;
use crate::foreign::{foreign_read, foreign_write};
use crate::machine::with;
use crate::order::Order;

#[unsafe(no_mangle)]
extern "C" fn ndbridge_emulator_configure(devices: usize, bytes_each: usize) {
    control::configure(&vec![bytes_each; devices], Order::Lazy);
}

#[unsafe(no_mangle)]
extern "C" fn ndbridge_emulator_reset() {
    control::reset();
}

#[unsafe(no_mangle)]
extern "C" fn ndbridge_emulator_drain() {
    control::drain();
}

#[unsafe(no_mangle)]
extern "C" fn ndbridge_emulator_clear_faults() {
    control::clear_faults();
}

/// # Safety
/// `buffer` is null or has room for `len` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn ndbridge_emulator_violations(buffer: *mut c_char, len: usize) -> usize {
    with(|machine| {
        let lines: Vec<_> = machine.violations.iter().map(ToString::to_string).collect();
        let text = lines.join("\n");
        if buffer.is_null() || len <= text.len() {
            return text.len();
        }
        // SAFETY: the buffer has room for the text.
        unsafe { buffer.cast::<u8>().copy_from(text.as_ptr(), text.len()) };
        // SAFETY: and for one byte more.
        unsafe { buffer.wrapping_add(text.len()).write(0) };
        machine.violations.clear();
        text.len()
    })
}

/// # Safety
/// `name` is a C string.
#[unsafe(no_mangle)]
unsafe extern "C" fn ndbridge_emulator_calls(name: *const c_char) -> u64 {
    // SAFETY: the caller's promise.
    control::calls(&unsafe { CStr::from_ptr(name) }.to_string_lossy())
}

/// # Safety
/// `name` is a C string.
#[unsafe(no_mangle)]
unsafe extern "C" fn ndbridge_emulator_fail(name: *const c_char, nth: u64, code: c_int) {
    // SAFETY: the caller's promise.
    control::fail(&unsafe { CStr::from_ptr(name) }.to_string_lossy(), nth, code);
}

/// 0 for a device that the machine lacks.
#[unsafe(no_mangle)]
extern "C" fn ndbridge_emulator_used(device: usize) -> u64 {
    with(|machine| {
        let is_there = device < machine.memory.devices.len();
        if is_there { machine.memory.used(device) } else { 0 }
    })
}

/// Nothing for a device that the machine lacks.
#[unsafe(no_mangle)]
extern "C" fn ndbridge_emulator_limit(device: usize, bytes: u64) {
    with(|machine| {
        if let Some(device) = machine.memory.devices.get_mut(device) {
            device.limit = bytes as usize;
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn ndbridge_emulator_live() -> u64 {
    control::live() as u64
}

/// `is_held` is null, or a function that any thread may call.
#[unsafe(no_mangle)]
extern "C" fn ndbridge_emulator_report_waits_under(is_held: Option<extern "C" fn() -> c_int>) {
    with(|machine| machine.lock = None);
    if let Some(is_held) = is_held {
        control::report_waits_under(move || is_held() != 0);
    }
}

#[unsafe(no_mangle)]
extern "C" fn ndbridge_emulator_reuse_addresses(is_wanted: c_int) {
    control::reuse_addresses(is_wanted != 0);
}

#[unsafe(no_mangle)]
extern "C" fn ndbridge_emulator_foreign_read(
    stream: usize,
    addr: usize,
    len_bytes: usize,
    item_bytes: usize,
) -> c_int {
    foreign_read(stream, addr, len_bytes, item_bytes)
}

#[unsafe(no_mangle)]
extern "C" fn ndbridge_emulator_foreign_write(
    stream: usize,
    addr: usize,
    len_bytes: usize,
    item_bytes: usize,
    value: u8,
) -> c_int {
    foreign_write(stream, addr, len_bytes, item_bytes, value)
}
