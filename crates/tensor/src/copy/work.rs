//! What one call of a kernel does.

use std::ops::Range;

use ndbridge_layout::WalkAxis;

/// Does a part of the work: the elements of the range of the axis that the schedule splits.
///
/// # Safety
/// With the steps of the axes, both pointers reach live elements of the data types that the kernel
/// was chosen for; those behind the second may be written, and nobody else reaches them meanwhile.
pub(super) type Kernel = unsafe fn(&Work, *const u8, *mut u8, Range<usize>);

/// Converts so many elements that lie without gaps on both sides, aligned or not.
///
/// # Safety
/// The first pointer reaches as many elements, the second room for as many, apart from the first.
/// The processor has the instructions of the level that this was chosen for.
pub(super) type Convert = unsafe fn(*const u8, *mut u8, usize);

/// Addresses along an axis: layouts know no pointers.
pub(super) trait Along {
    /// Both sides, `index` elements further.
    fn at(self, from: *const u8, to: *mut u8, index: usize) -> (*const u8, *mut u8);
}

impl Along for WalkAxis {
    #[inline(always)]
    fn at(self, from: *const u8, to: *mut u8, index: usize) -> (*const u8, *mut u8) {
        let (source, destination) = self.offsets(index);
        (from.wrapping_offset(source), to.wrapping_offset(destination))
    }
}

/// One or two axes of a walk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// The axis along which the destination is densest.
    pub(super) row: WalkAxis,
    /// Another one; one element if there is none.
    pub(super) col: WalkAxis,
    /// Size of an item of the source.
    pub(super) item_bytes: usize,
    /// Whether the result goes past the caches.
    pub(super) stream: bool,
    /// The change of data type.
    pub(super) cast: Option<Cast>,
    /// How short rows are put together before they are streamed.
    pub(super) stage: Option<Stage>,
}

impl Work {
    /// Has `kernel` do the part that the range names.
    ///
    /// # Safety
    /// As [`Kernel`].
    #[inline(always)]
    pub(super) unsafe fn by(
        &self,
        kernel: Kernel,
        from: *const u8,
        to: *mut u8,
        range: Range<usize>,
    ) {
        // SAFETY: promised by the caller.
        unsafe { kernel(self, from, to, range) }
    }
}

/// How planes are put together until the destination has long runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage {
    /// Moves a plane.
    pub(super) gather: Kernel,
    /// The axis along which the destination goes on where a row, or a plane, ends.
    pub(super) mid: WalkAxis,
    /// Size of a row of the destination.
    pub(super) row_bytes: usize,
    /// What is dense at each index of `col` in the source: an item, or a row.
    pub(super) col_bytes: usize,
}

/// How the data type changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cast {
    /// Converts dense elements.
    pub(super) convert: Convert,
    /// Size of an item of the destination.
    pub(super) item_bytes: usize,
    /// Moves elements into the order of the destination, if they lie otherwise.
    pub(super) gather: Option<Kernel>,
    /// The axis that `gather` splits.
    pub(super) units: WalkAxis,
    /// Elements of each of its units.
    pub(super) per_unit: usize,
    /// Of a plane: whether `gather` splits its rows, not its columns.
    pub(super) gathers_rows: bool,
}
