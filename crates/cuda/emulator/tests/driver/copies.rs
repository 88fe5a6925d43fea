//! Copies and fills in two and three dimensions against a slow model.

use cust::sys::{CUDA_MEMCPY2D, CUDA_MEMCPY3D, CUmemorytype_enum as Memory};
use ndbridge_cuda_emulator::{Violation, violations};
use std::ptr::{null, null_mut};

use crate::harness::*;
use crate::violations::assert_found;

/// A number below `end`, from a generator that needs no seed of the machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % end
    }
}

/// One end: a box of `extent` at `start` in an array whose rows and planes are wider.
#[derive(Clone, Copy, Debug)]
struct End {
    start: [usize; 3],
    pitch: usize,
    height: usize,
    kind: usize,
}

impl End {
    fn any(numbers: &mut Numbers, extent: [usize; 3]) -> End {
        let start = [0; 3].map(|_: usize| numbers.below(3));
        let pitch = start[0] + extent[0] + numbers.below(3);
        let height = start[1] + extent[1] + numbers.below(3);
        End { start, pitch, height, kind: numbers.below(4) }
    }

    fn offset(&self, [x, y, z]: [usize; 3]) -> usize {
        let [x0, y0, z0] = self.start;
        ((z0 + z) * self.height + y0 + y) * self.pitch + x0 + x
    }

    fn len(&self, [width, height, depth]: [usize; 3]) -> usize {
        self.offset([width - 1, height - 1, depth - 1]) + 1
    }
}

/// The memory of an end: pageable, pinned, a device's by address or by unified address.
enum Store {
    Pageable(Vec<u8>),
    Pinned(HostBlock),
    Device(u64, usize),
}

impl Store {
    fn new(kind: usize, bytes: &[u8]) -> Store {
        match kind {
            0 => Store::Pageable(bytes.to_vec()),
            1 => {
                let mut block = pinned(bytes.len());
                block.bytes().copy_from_slice(bytes);
                Store::Pinned(block)
            }
            _ => {
                let addr = alloc(bytes.len());
                assert_eq!(to_device(addr, bytes, 0), 0);
                assert_eq!(wait(0), 0);
                Store::Device(addr, bytes.len())
            }
        }
    }

    fn addr(&mut self) -> u64 {
        match self {
            Store::Pageable(bytes) => bytes.as_mut_ptr() as u64,
            Store::Pinned(block) => block.addr(),
            Store::Device(addr, _) => *addr,
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Store::Pageable(bytes) => bytes,
            Store::Pinned(mut block) => {
                let bytes = block.bytes().to_vec();
                assert_eq!(block.free(), 0);
                bytes
            }
            Store::Device(addr, len) => {
                let bytes = read(addr, len);
                assert_eq!(free(addr), 0);
                bytes
            }
        }
    }
}

fn memory(kind: usize) -> Memory {
    match kind {
        0 | 1 => Memory::CU_MEMORYTYPE_HOST,
        2 => Memory::CU_MEMORYTYPE_DEVICE,
        _ => Memory::CU_MEMORYTYPE_UNIFIED,
    }
}

/// From host to host, of nothing.
fn blank() -> CUDA_MEMCPY2D {
    CUDA_MEMCPY2D {
        srcXInBytes: 0,
        srcY: 0,
        srcMemoryType: Memory::CU_MEMORYTYPE_HOST,
        srcHost: null(),
        srcDevice: 0,
        srcArray: null_mut(),
        srcPitch: 0,
        dstXInBytes: 0,
        dstY: 0,
        dstMemoryType: Memory::CU_MEMORYTYPE_HOST,
        dstHost: null_mut(),
        dstDevice: 0,
        dstArray: null_mut(),
        dstPitch: 0,
        WidthInBytes: 0,
        Height: 0,
    }
}

fn copy(from: (End, u64), to: (End, u64), extent: [usize; 3]) -> i32 {
    let [src_x, src_y, src_z] = from.0.start;
    let [dst_x, dst_y, dst_z] = to.0.start;
    let copy = CUDA_MEMCPY3D {
        srcXInBytes: src_x,
        srcY: src_y,
        srcZ: src_z,
        srcLOD: 0,
        srcMemoryType: memory(from.0.kind),
        srcHost: from.1 as *const _,
        srcDevice: from.1,
        srcArray: null_mut(),
        reserved0: null_mut(),
        srcPitch: from.0.pitch,
        srcHeight: from.0.height,
        dstXInBytes: dst_x,
        dstY: dst_y,
        dstZ: dst_z,
        dstLOD: 0,
        dstMemoryType: memory(to.0.kind),
        dstHost: to.1 as *mut _,
        dstDevice: to.1,
        dstArray: null_mut(),
        reserved1: null_mut(),
        dstPitch: to.0.pitch,
        dstHeight: to.0.height,
        WidthInBytes: extent[0],
        Height: extent[1],
        Depth: extent[2],
    };
    copy_3d(&copy, 0)
}

fn copy_plane(from: (End, u64), to: (End, u64), extent: [usize; 3]) -> i32 {
    let mut copy = blank();
    [copy.srcXInBytes, copy.srcY, _] = from.0.start;
    [copy.dstXInBytes, copy.dstY, _] = to.0.start;
    (copy.srcMemoryType, copy.dstMemoryType) = (memory(from.0.kind), memory(to.0.kind));
    (copy.srcHost, copy.srcDevice) = (from.1 as *const _, from.1);
    (copy.dstHost, copy.dstDevice) = (to.1 as *mut _, to.1);
    (copy.srcPitch, copy.dstPitch) = (from.0.pitch, to.0.pitch);
    [copy.WidthInBytes, copy.Height, _] = extent;
    copy_2d(&copy, 0)
}

#[test]
fn boxes_against_a_loop() {
    let _setup = Setup::new();
    let mut numbers = Numbers(1);
    for round in 0..300 {
        let is_flat = round % 2 == 0;
        let mut extent = [0; 3].map(|_: usize| 1 + numbers.below(5));
        let (mut from, mut to) = (End::any(&mut numbers, extent), End::any(&mut numbers, extent));
        if is_flat {
            (extent[2], from.start[2], to.start[2]) = (1, 0, 0);
        }
        let source: Vec<u8> = (0..from.len(extent)).map(|i| i as u8).collect();
        let mut expected = vec![0xee; to.len(extent)];
        let (mut a, mut b) = (Store::new(from.kind, &source), Store::new(to.kind, &expected));
        for z in 0..extent[2] {
            for y in 0..extent[1] {
                for x in 0..extent[0] {
                    expected[to.offset([x, y, z])] = source[from.offset([x, y, z])];
                }
            }
        }
        let copy = if is_flat { copy_plane } else { copy };
        assert_eq!(copy((from, a.addr()), (to, b.addr()), extent), 0, "{from:?} {to:?}");
        assert_eq!(wait(0), 0);
        assert_eq!(a.finish(), source, "{from:?}");
        assert_eq!(b.finish(), expected, "{from:?} {to:?} {extent:?}");
        assert_found!();
    }
}

#[test]
fn a_box_beyond_its_memory_is_found() {
    let _setup = Setup::new();
    let addr = alloc_filled(30, 1);
    let end = |kind| End { start: [0; 3], pitch: 8, height: 4, kind };
    let mut target = [0u8; 32];
    let to = (end(0), target.as_mut_ptr() as u64);
    assert_eq!(copy_plane((end(2), addr), to, [6, 4, 1]), 0, "the last row ends at 30");
    assert_found!();
    assert_eq!(copy_plane((end(2), addr), to, [7, 4, 1]), 1);
    assert_found!(Violation::OutOfBounds { len: 31, .. });
    assert_eq!(copy_plane((end(2), addr), to, [9, 2, 1]), 1, "rows wider than their pitch");
    assert_found!();
    assert_eq!(free(addr), 0);
}

#[test]
fn columns_side_by_side_do_not_race() {
    let _setup = Setup::new();
    let (a, b, addr) = (stream(1), stream(1), alloc_filled(64, 0));
    let strip = |x: usize, value: [u8; 2], stream| {
        let mut copy = blank();
        let source = value.repeat(8);
        copy.srcHost = source.as_ptr().cast();
        copy.srcPitch = 2;
        copy.dstMemoryType = Memory::CU_MEMORYTYPE_DEVICE;
        (copy.dstDevice, copy.dstPitch, copy.dstXInBytes) = (addr, 8, x);
        (copy.WidthInBytes, copy.Height) = (2, 8);
        assert_eq!(copy_2d(&copy, stream), 0);
    };
    strip(0, [1, 2], a);
    strip(2, [3, 4], b);
    assert_eq!(synchronize(), 0);
    assert_eq!(read(addr + 56, 8), [1, 2, 3, 4, 0, 0, 0, 0]);
    assert_found!();
    strip(0, [1, 2], a);
    strip(1, [3, 4], b);
    assert_eq!(synchronize(), 0);
    assert_found!(Violation::Race { .. });
    assert_eq!(free(addr), 0);
}

#[test]
fn fills_of_rectangles() {
    let _setup = Setup::new();
    let addr = alloc_filled(24, 0);
    assert_eq!(fill_2d(addr + 2, 8, 0x0201, 2, 3), 0);
    assert_eq!(read(addr, 24), [0, 0, 1, 2, 1, 2, 0, 0].repeat(3));
    assert_eq!(fill_2d(addr + 1, 8, 0, 2, 3), 1, "not aligned");
    assert_eq!(free(addr), 0);
}
