//! What the kernels ask of a vector register.

/// Some bytes in a register, as lanes of 16.
///
/// The kernels are written once over this trait, and compiled once for each implementation.
///
/// A value exists only where the processor has the instructions of its type: `load`, `load_lanes`
/// and `repeat` are the only ways to make one, and their caller knows. So methods that have one are
/// safe.
pub(super) trait Vector: Copy {
    /// Size of the register.
    const BYTES: usize;

    /// A register of one lane.
    type Lane: Vector;

    /// # Safety
    /// The processor has the instructions; `from` is good for reading `BYTES`.
    unsafe fn load(from: *const u8) -> Self;

    /// A lane from each of `from`, `from + step`, ..
    ///
    /// # Safety
    /// The processor has the instructions; each address is good for reading 16 bytes.
    unsafe fn load_lanes(from: *const u8, step: isize) -> Self;

    /// The same bytes in each lane.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn repeat(lane: [u8; 16]) -> Self;

    /// # Safety
    /// `to` is good for writing `BYTES`.
    unsafe fn store(self, to: *mut u8);

    /// # Safety
    /// `to`, `to + step`, .. are good for writing 16 bytes each.
    unsafe fn store_lanes(self, to: *mut u8, step: isize);

    /// Past the caches. [`settle`](super::settle) makes it visible to others.
    ///
    /// # Safety
    /// `to` is aligned to `BYTES` and good for writing as many.
    unsafe fn stream(self, to: *mut u8);

    /// Elements of `B` bytes taken in turn from the first halves of both lanes.
    fn zip_low<const B: usize>(self, other: Self) -> Self;

    /// The same of the second halves.
    fn zip_high<const B: usize>(self, other: Self) -> Self;

    /// In each lane the bytes that `mask` names; 0 where it has [`NOTHING`].
    fn shuffle(self, mask: Self) -> Self;

    /// Bits of either.
    fn or(self, other: Self) -> Self;

    /// Says that the line at `at` will be read soon; an address that is none does no harm.
    fn prefetch(at: *const u8);
}

/// In a mask: no byte.
pub(super) const NOTHING: u8 = 0x80;

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;
