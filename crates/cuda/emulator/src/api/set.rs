//! Fills.

use std::ffi::{c_uchar, c_uint, c_ushort};

driver_functions! {
    cuMemsetD8_v2(to: u64, value: c_uchar, count: usize) @context |machine| {
        let (unit, extent) = (value.to_le_bytes(), (count, 1));
        machine.fill(context, "cuMemsetD8", None, (to, 0), &unit, extent)
    }
    cuMemsetD8Async(to: u64, value: c_uchar, count: usize, stream: u64) @context |machine| {
        let (unit, extent) = (value.to_le_bytes(), (count, 1));
        machine.fill(context, "cuMemsetD8Async", Some(stream), (to, 0), &unit, extent)
    }
    cuMemsetD2D8_v2(to: u64, pitch: usize, value: c_uchar, width: usize, height: usize)
    @context |machine| {
        let (unit, extent) = (value.to_le_bytes(), (width, height));
        machine.fill(context, "cuMemsetD2D8", None, (to, pitch), &unit, extent)
    }
    cuMemsetD2D8Async(
        to: u64, pitch: usize, value: c_uchar, width: usize, height: usize, stream: u64,
    ) @context |machine| {
        let (unit, extent) = (value.to_le_bytes(), (width, height));
        machine.fill(context, "cuMemsetD2D8Async", Some(stream), (to, pitch), &unit, extent)
    }
    cuMemsetD16_v2(to: u64, value: c_ushort, count: usize) @context |machine| {
        let (unit, extent) = (value.to_le_bytes(), (count, 1));
        machine.fill(context, "cuMemsetD16", None, (to, 0), &unit, extent)
    }
    cuMemsetD16Async(to: u64, value: c_ushort, count: usize, stream: u64) @context |machine| {
        let (unit, extent) = (value.to_le_bytes(), (count, 1));
        machine.fill(context, "cuMemsetD16Async", Some(stream), (to, 0), &unit, extent)
    }
    cuMemsetD2D16_v2(to: u64, pitch: usize, value: c_ushort, width: usize, height: usize)
    @context |machine| {
        let (unit, extent) = (value.to_le_bytes(), (width, height));
        machine.fill(context, "cuMemsetD2D16", None, (to, pitch), &unit, extent)
    }
    cuMemsetD2D16Async(
        to: u64, pitch: usize, value: c_ushort, width: usize, height: usize, stream: u64,
    ) @context |machine| {
        let (unit, extent) = (value.to_le_bytes(), (width, height));
        machine.fill(context, "cuMemsetD2D16Async", Some(stream), (to, pitch), &unit, extent)
    }
    cuMemsetD32_v2(to: u64, value: c_uint, count: usize) @context |machine| {
        let (unit, extent) = (value.to_le_bytes(), (count, 1));
        machine.fill(context, "cuMemsetD32", None, (to, 0), &unit, extent)
    }
    cuMemsetD32Async(to: u64, value: c_uint, count: usize, stream: u64) @context |machine| {
        let (unit, extent) = (value.to_le_bytes(), (count, 1));
        machine.fill(context, "cuMemsetD32Async", Some(stream), (to, 0), &unit, extent)
    }
    cuMemsetD2D32_v2(to: u64, pitch: usize, value: c_uint, width: usize, height: usize)
    @context |machine| {
        let (unit, extent) = (value.to_le_bytes(), (width, height));
        machine.fill(context, "cuMemsetD2D32", None, (to, pitch), &unit, extent)
    }
    cuMemsetD2D32Async(
        to: u64, pitch: usize, value: c_uint, width: usize, height: usize, stream: u64,
    ) @context |machine| {
        let (unit, extent) = (value.to_le_bytes(), (width, height));
        machine.fill(context, "cuMemsetD2D32Async", Some(stream), (to, pitch), &unit, extent)
    }
}
