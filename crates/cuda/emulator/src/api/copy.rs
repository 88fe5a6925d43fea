//! Copies.

use std::ffi::c_uint;

use crate::arguments::{HostAddress, In};
use crate::code::{Code, INVALID_VALUE, NOT_SUPPORTED};
use crate::copies::Request;
use crate::machine::Machine;
use crate::work::{Extent, Place, Side};

/// `CUDA_MEMCPY2D`'s half.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Side2d {
    x_bytes: usize,
    y: usize,
    memory: c_uint,
    host: HostAddress,
    device: u64,
    array: usize,
    pitch: usize,
}

/// `CUDA_MEMCPY2D`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Copy2d {
    from: Side2d,
    to: Side2d,
    width_bytes: usize,
    height: usize,
}

/// `CUDA_MEMCPY3D`'s half.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Side3d {
    x_bytes: usize,
    y: usize,
    z: usize,
    level: usize,
    memory: c_uint,
    host: HostAddress,
    device: u64,
    array: usize,
    reserved: usize,
    pitch: usize,
    height: usize,
}

/// `CUDA_MEMCPY3D`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Copy3d {
    from: Side3d,
    to: Side3d,
    width_bytes: usize,
    height: usize,
    depth: usize,
}

driver_functions! {
    cuMemcpyHtoD_v2(to: u64, from: HostAddress, len: usize) @context |machine| {
        let to = machine.on_device(to);
        machine.copy(context, Request::flat("cuMemcpyHtoD", None, to, Place::Host(from), len))
    }
    cuMemcpyDtoH_v2(to: HostAddress, from: u64, len: usize) @context |machine| {
        let from = machine.on_device(from);
        machine.copy(context, Request::flat("cuMemcpyDtoH", None, Place::Host(to), from, len))
    }
    cuMemcpyDtoD_v2(to: u64, from: u64, len: usize) @context |machine| {
        let (to, from) = (machine.on_device(to), machine.on_device(from));
        machine.copy(context, Request::flat("cuMemcpyDtoD", None, to, from, len))
    }
    cuMemcpy(to: u64, from: u64, len: usize) @context |machine| {
        let (to, from) = (machine.unified(to), machine.unified(from));
        machine.copy(context, Request::flat("cuMemcpy", None, to, from, len))
    }
    cuMemcpyHtoDAsync_v2(to: u64, from: HostAddress, len: usize, stream: u64) @context |machine| {
        let (to, from) = (machine.on_device(to), Place::Host(from));
        machine.copy(context, Request::flat("cuMemcpyHtoDAsync", Some(stream), to, from, len))
    }
    cuMemcpyDtoHAsync_v2(to: HostAddress, from: u64, len: usize, stream: u64) @context |machine| {
        let (to, from) = (Place::Host(to), machine.on_device(from));
        machine.copy(context, Request::flat("cuMemcpyDtoHAsync", Some(stream), to, from, len))
    }
    cuMemcpyDtoDAsync_v2(to: u64, from: u64, len: usize, stream: u64) @context |machine| {
        let (to, from) = (machine.on_device(to), machine.on_device(from));
        machine.copy(context, Request::flat("cuMemcpyDtoDAsync", Some(stream), to, from, len))
    }
    cuMemcpyAsync(to: u64, from: u64, len: usize, stream: u64) @context |machine| {
        let (to, from) = (machine.unified(to), machine.unified(from));
        machine.copy(context, Request::flat("cuMemcpyAsync", Some(stream), to, from, len))
    }
    cuMemcpyPeer(to: u64, _to_in: u64, from: u64, _from_in: u64, len: usize) @context |machine| {
        let (to, from) = (machine.on_device(to), machine.on_device(from));
        let request = Request::flat("cuMemcpyPeer", None, to, from, len);
        machine.copy(context, Request { is_peer: true, ..request })
    }
    cuMemcpyPeerAsync(to: u64, _to_in: u64, from: u64, _from_in: u64, len: usize, stream: u64)
    @context |machine| {
        let (to, from) = (machine.on_device(to), machine.on_device(from));
        let request = Request::flat("cuMemcpyPeerAsync", Some(stream), to, from, len);
        machine.copy(context, Request { is_peer: true, ..request })
    }
    cuMemcpy2D_v2(copy: In<Copy2d>) @context |machine| {
        let request = request_2d(machine, "cuMemcpy2D", None, copy.get()?)?;
        machine.copy(context, request)
    }
    cuMemcpy2DUnaligned_v2(copy: In<Copy2d>) @context |machine| {
        let request = request_2d(machine, "cuMemcpy2DUnaligned", None, copy.get()?)?;
        machine.copy(context, request)
    }
    cuMemcpy2DAsync_v2(copy: In<Copy2d>, stream: u64) @context |machine| {
        let request = request_2d(machine, "cuMemcpy2DAsync", Some(stream), copy.get()?)?;
        machine.copy(context, request)
    }
    cuMemcpy3D_v2(copy: In<Copy3d>) @context |machine| {
        let request = request_3d(machine, "cuMemcpy3D", None, copy.get()?)?;
        machine.copy(context, request)
    }
    cuMemcpy3DAsync_v2(copy: In<Copy3d>, stream: u64) @context |machine| {
        let request = request_3d(machine, "cuMemcpy3DAsync", Some(stream), copy.get()?)?;
        machine.copy(context, request)
    }
}

fn request_2d(
    machine: &Machine,
    by: &'static str,
    stream: Option<u64>,
    copy: Copy2d,
) -> Result<Request, Code> {
    let Copy2d { from, to, width_bytes, height } = copy;
    let planar = |side: Side2d| Side3d {
        x_bytes: side.x_bytes,
        y: side.y,
        z: 0,
        level: 0,
        memory: side.memory,
        host: side.host,
        device: side.device,
        array: side.array,
        reserved: 0,
        pitch: side.pitch,
        height: 0,
    };
    let (from, to) = (planar(from), planar(to));
    request_3d(machine, by, stream, Copy3d { from, to, width_bytes, height, depth: 1 })
}

fn request_3d(
    machine: &Machine,
    by: &'static str,
    stream: Option<u64>,
    copy: Copy3d,
) -> Result<Request, Code> {
    let extent = Extent { width: copy.width_bytes, height: copy.height, depth: copy.depth };
    let bytes = extent.width.checked_mul(extent.height);
    bytes.and_then(|bytes| bytes.checked_mul(extent.depth)).ok_or(INVALID_VALUE)?;
    let (to, from) = (side(machine, copy.to, extent)?, side(machine, copy.from, extent)?);
    Ok(Request { by, stream, to, from, extent, is_peer: false })
}

const MEMORYTYPE_HOST: c_uint = 1;
const MEMORYTYPE_DEVICE: c_uint = 2;
const MEMORYTYPE_ARRAY: c_uint = 3;
const MEMORYTYPE_UNIFIED: c_uint = 4;

fn side(machine: &Machine, side: Side3d, extent: Extent) -> Result<Side, Code> {
    let is_wide = side.x_bytes.checked_add(extent.width).is_some_and(|end| end <= side.pitch);
    let is_high = side.y.checked_add(extent.height).is_some_and(|end| end <= side.height);
    // A single row needs no pitch, a single plane no height.
    if (extent.height > 1 || side.y > 0) && !is_wide || extent.depth > 1 && !is_high {
        return Err(INVALID_VALUE);
    }
    let plane = side.pitch.checked_mul(side.height).ok_or(INVALID_VALUE)?;
    let start = plane.checked_mul(side.z).and_then(|start| {
        start.checked_add(side.pitch.checked_mul(side.y)?)?.checked_add(side.x_bytes)
    });
    let start = start.ok_or(INVALID_VALUE)?;
    let addr = side.device.wrapping_add(start as u64);
    let place = match side.memory {
        MEMORYTYPE_HOST => Place::Host(side.host.plus(start)),
        MEMORYTYPE_DEVICE => machine.on_device(addr),
        MEMORYTYPE_UNIFIED => machine.unified(addr),
        MEMORYTYPE_ARRAY => return Err(NOT_SUPPORTED),
        _ => return Err(INVALID_VALUE),
    };
    Ok(Side { place, pitch: side.pitch, plane })
}
