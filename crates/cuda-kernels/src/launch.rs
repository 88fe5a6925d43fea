//! Which kernel to launch, and how, for given parameters.

use ndbridge_dtype::DType;

use crate::cast::{self, contiguous_block_items, vector_len};
use crate::lane::THREADS;
use crate::list::KERNELS;
use crate::strided::{self, block_items};
use crate::transpose::tile_bytes;
use crate::{Dims, Tiles, Width};

/// One launch, but for its parameters and its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Name of the kernel; [`module_text`](crate::module_text) has its module.
    pub kernel: &'static str,
    /// Number of blocks. Zero in the first place if there is nothing to do: CUDA refuses such a
    /// launch, so skip it.
    pub grid: [u32; 3],
    /// Threads per block, in one dimension.
    pub threads: u32,
    /// Bytes of memory per block that are to be asked for at launch.
    pub shared_bytes: u32,
}

impl Launch {
    const fn new(kernel: &'static str, blocks: u32, shared_bytes: u32) -> Self {
        Self { kernel, grid: [blocks, 1, 1], threads: THREADS, shared_bytes }
    }

    /// Whether there is nothing to launch.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.grid[0] == 0
    }
}

/// Copies elements of `width` between any two layouts; parameters `dst`, `src`, `dims`.
#[must_use]
pub const fn strided(width: Width, dims: &Dims) -> Launch {
    const NAMES: [&str; 5] = ["strided_1", "strided_2", "strided_4", "strided_8", "strided_16"];
    Launch::new(NAMES[width as usize], dims.len().div_ceil(block_items(strided::ITEMS)), 0)
}

/// Copies elements through tiles; parameters `dst`, `src`, `tiles`.
#[must_use]
pub const fn transpose(tiles: &Tiles) -> Launch {
    const NAMES: [&str; 5] =
        ["transpose_1", "transpose_2", "transpose_4", "transpose_8", "transpose_16"];
    let width = tiles.width();
    Launch::new(NAMES[width as usize], tiles.blocks(), tile_bytes(width.bytes()))
}

/// Writes a value of `width` to every element; parameters `dst`, `value`, `dims`.
#[must_use]
pub const fn fill(width: Width, dims: &Dims) -> Launch {
    const NAMES: [&str; 5] = ["fill_1", "fill_2", "fill_4", "fill_8", "fill_16"];
    Launch::new(NAMES[width as usize], dims.len().div_ceil(block_items(strided::ITEMS)), 0)
}

/// Converts elements; parameters `dst`, `src`, `dims`. Addresses and strides are multiples of
/// [`DType::align_bytes`]. `None` from a type to itself, which is [`strided`].
///
/// A `bool` of the source may be any byte: all but zero are true.
#[must_use]
pub fn cast(from: DType, to: DType, dims: &Dims) -> Option<Launch> {
    let [from_bytes, to_bytes] = [from, to].map(DType::item_bytes);
    let block_items = if dims.is_contiguous(from_bytes, to_bytes) {
        contiguous_block_items(vector_len(from_bytes, to_bytes))
    } else {
        block_items(cast::ITEMS)
    };
    Some(Launch::new(cast_kernel(from, to)?, dims.len().div_ceil(block_items), 0))
}

fn cast_kernel(from: DType, to: DType) -> Option<&'static str> {
    let casts = &KERNELS[3 * Width::ALL.len()..];
    let [row, col] = [from, to].map(|dtype| dtype as usize);
    // A row has all targets but the source itself.
    let col = if from == to { return None } else { col - usize::from(col > row) };
    Some(casts[row * (DType::ALL.len() - 1) + col].name)
}
