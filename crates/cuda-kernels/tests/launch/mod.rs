//! Runs launches over buffers that notice every access outside.
#![expect(unsafe_code, reason = "launches kernels")]

use std::cell::RefCell;

use ndbridge_cuda_kernels::host::Memory;
use ndbridge_cuda_kernels::{KERNELS, Launch};

/// Device memory: buffers far apart.
#[derive(Default)]
pub struct Buffers {
    buffers: RefCell<Vec<Vec<u8>>>,
}

const APART: u64 = 1 << 32;

impl Buffers {
    /// The address of a new buffer, a multiple of 16.
    pub fn add(&mut self, bytes: Vec<u8>) -> u64 {
        let buffers = self.buffers.get_mut();
        buffers.push(bytes);
        buffers.len() as u64 * APART
    }

    /// The bytes of the buffer at `addr`.
    pub fn bytes(&self, addr: u64) -> Vec<u8> {
        self.buffers.borrow()[(addr / APART - 1) as usize].clone()
    }

    fn with<R>(&self, addr: u64, len: usize, access: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut buffers = self.buffers.borrow_mut();
        let index = (addr / APART).checked_sub(1).expect("an address of a buffer");
        let buffer = buffers.get_mut(index as usize).expect("an address of a buffer");
        let start = (addr % APART) as usize;
        let buffer_len = buffer.len();
        let bytes = buffer.get_mut(start..start + len);
        access(bytes.unwrap_or_else(|| panic!("{start}..+{len} of a buffer of {buffer_len}")))
    }
}

impl Memory for Buffers {
    fn read(&self, addr: u64, into: &mut [u8]) -> bool {
        self.with(addr, into.len(), |bytes| into.copy_from_slice(bytes));
        true
    }

    fn write(&self, addr: u64, from: &[u8]) -> bool {
        self.with(addr, from.len(), |bytes| bytes.copy_from_slice(from));
        true
    }
}

/// Runs a launch with parameters given as their bytes.
pub fn run(launch: Launch, params: &[&[u8]], memory: &Buffers) {
    let kernel = KERNELS.iter().find(|kernel| kernel.name == launch.kernel).expect("a kernel");
    let lens: Vec<usize> = params.iter().map(|param| param.len()).collect();
    assert_eq!(lens, kernel.params, "parameters of {}", kernel.name);
    let args: Vec<*const u8> = params.iter().map(|param| param.as_ptr()).collect();
    let shared = launch.shared_bytes as usize;
    // SAFETY: of the lengths that were just compared.
    unsafe { kernel.run(launch.grid, launch.threads, shared, &args, memory) }
}

/// A layout on both sides, strides in elements.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Length, stride of the source, stride of the target.
    pub dims: Vec<(u32, i64, i64)>,
}

/// One side of a layout: where each element lies, and the room they need.
pub struct Side {
    /// Offsets of all elements from the first, in elements, in the order of their indices.
    pub offsets: Vec<i64>,
    /// From the lowest element to the first.
    pub before: i64,
    /// Elements from the lowest to the highest, both included.
    pub len: usize,
}

impl Layout {
    pub fn src(&self) -> Side {
        side(self.dims.iter().map(|&(len, src, _)| (len, src)))
    }

    pub fn dst(&self) -> Side {
        side(self.dims.iter().map(|&(len, _, dst)| (len, dst)))
    }
}

fn side(dims: impl Iterator<Item = (u32, i64)>) -> Side {
    let mut offsets = vec![0];
    for (len, stride) in dims {
        let along = |from: i64| (0..i64::from(len)).map(move |index| from + index * stride);
        offsets = offsets.into_iter().flat_map(along).collect();
    }
    let lowest = offsets.iter().copied().min().unwrap_or(0);
    let highest = offsets.iter().copied().max().unwrap_or(-1);
    Side { offsets, before: -lowest, len: (highest - lowest + 1) as usize }
}

/// Layouts of every sort: scalar, empty, around the ends of blocks, reversed, with gaps, broadcast,
/// transposed, of up to eight dimensions.
pub fn zoo() -> Vec<Layout> {
    let mut dims = vec![
        vec![],
        vec![(0, 1, 1)],
        vec![(3, 0, 0), (0, 1, 1)],
        vec![(1, 7, 9)],
        vec![(1000, -1, 1)],
        vec![(1000, 1, -1)],
        vec![(700, 3, 2)],
        vec![(5, 0, 300), (300, 1, 1)],
        vec![(300, 1, 5), (5, 0, 1)],
        vec![(33, 1, 65), (65, 33, 1)],
        vec![(4, 70, 80), (1, 5, 6), (64, 1, 1)],
        vec![(7, -11, 130), (13, 100, -10), (3, 5, 2)],
        vec![
            (2, 1, 1296),
            (3, 2, 432),
            (2, 6, 216),
            (3, 12, 72),
            (2, 36, -36),
            (3, -72, 12),
            (2, 216, 6),
            (6, 432, 1),
        ],
    ];
    for len in [1, 2, 255, 256, 257, 511, 513, 1023, 1024, 1025, 2047, 2049, 4095, 4096, 4099] {
        dims.push(vec![(len, 1, 1)]);
    }
    dims.into_iter().map(|dims| Layout { dims }).collect()
}

/// Bytes that differ from place to place.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}
