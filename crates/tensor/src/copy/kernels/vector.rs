//! What the kernels ask of a vector register.

/// Some bytes in a register, as lanes of 16. Vectors are put together from bytes of others in groups: of
/// a lane, or of the whole register where an instruction takes bytes from anywhere.
///
/// The kernels are written once over this trait, and compiled once for each implementation.
///
/// A value exists only where the processor has the instructions of its type: `load`, `load_lanes`
/// and `repeat` are the only ways to make one, and their caller knows. So methods that have one are
/// safe.
pub(super) trait Vector: Copy {
    /// Size of the register.
    const BYTES: usize;

    /// Size of a group.
    const GROUP: usize;

    /// What a vector takes from `N` others: which byte each byte of a group is.
    type Pick<const N: usize>: Copy;

    /// A register of one lane.
    type Lane: Vector;

    /// # Safety
    /// The processor has the instructions; `from` is good for reading `BYTES`.
    unsafe fn load(from: *const u8) -> Self;

    /// A lane from each of `from`, `from + step`, ..
    ///
    /// # Safety
    /// The processor has the instructions; each address is good for reading 16 bytes.
    #[inline(always)]
    unsafe fn load_lanes(from: *const u8, _step: isize) -> Self {
        // SAFETY: promised by the caller; there is one lane, unless the implementation says more.
        unsafe { Self::load(from) }
    }

    /// The same bytes in each lane.
    ///
    /// # Safety
    /// The processor has the instructions.
    #[inline(always)]
    unsafe fn repeat(lane: [u8; 16]) -> Self {
        // SAFETY: each lane is read from the array of as many bytes.
        unsafe { Self::load_lanes(lane.as_ptr(), 0) }
    }

    /// # Safety
    /// `to` is good for writing `BYTES`.
    unsafe fn store(self, to: *mut u8);

    /// A group from each of `from`, `from + step`, ..
    ///
    /// # Safety
    /// The processor has the instructions; each address is good for reading `GROUP` bytes.
    #[inline(always)]
    unsafe fn load_groups(from: *const u8, _step: isize) -> Self {
        // SAFETY: promised by the caller; a group is the vector, unless the implementation says more.
        unsafe { Self::load(from) }
    }

    /// # Safety
    /// `to`, `to + step`, .. are good for writing `GROUP` bytes each.
    #[inline(always)]
    unsafe fn store_groups(self, to: *mut u8, _step: isize) {
        // SAFETY: promised by the caller; a group is the vector, unless the implementation says more.
        unsafe { self.store(to) }
    }

    /// Byte `at` of a group is byte `from(at)` of the groups of `N` vectors, one after the other.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn pick<const N: usize>(from: impl Fn(usize) -> usize) -> Self::Pick<N>;

    /// What `pick` takes from the vectors.
    fn picked<const N: usize>(vectors: &[Self; N], pick: Self::Pick<N>) -> Self;

    /// Past the caches. [`settle`](super::settle) makes it visible to others.
    ///
    /// # Safety
    /// `to` is aligned to `BYTES` and good for writing as many.
    unsafe fn stream(self, to: *mut u8);

    /// Elements of `B` bytes taken in turn from the first halves of both lanes.
    fn zip_low<const B: usize>(self, other: Self) -> Self;

    /// The same of the second halves.
    fn zip_high<const B: usize>(self, other: Self) -> Self;

    /// Says that the line at `at` will be read soon; an address that is none does no harm. It goes to the
    /// second-level cache: in the first, lines of an array often share few sets and drive out what is
    /// being read.
    fn prefetch(at: *const u8);
}

/// In a mask: no byte.
pub(super) const NOTHING: u8 = 0x80;

/// Groups are lanes, of which `shuffle` takes bytes by number, or 0 for [`NOTHING`], and `or` unites the
/// parts.
macro_rules! pick_by_lane {
    () => {
        const GROUP: usize = 16;
        type Pick<const N: usize> = [Self; N];

        #[inline(always)]
        unsafe fn pick<const N: usize>(from: impl Fn(usize) -> usize) -> [Self; N] {
            let mut masks = [[crate::copy::kernels::vector::NOTHING; 16]; N];
            for at in 0..16 {
                let from = from(at);
                masks[from / 16][at] = (from % 16) as u8;
            }
            // SAFETY: the instructions are promised by the caller.
            let mut pick = [unsafe { Self::repeat(masks[0]) }; N];
            for (register, &mask) in pick.iter_mut().zip(&masks).skip(1) {
                // SAFETY: as above.
                *register = unsafe { Self::repeat(mask) };
            }
            pick
        }

        #[inline(always)]
        fn picked<const N: usize>(vectors: &[Self; N], pick: [Self; N]) -> Self {
            let mut all = vectors[0].shuffle(pick[0]);
            for (vector, &mask) in vectors.iter().zip(&pick).skip(1) {
                all = all.or(vector.shuffle(mask));
            }
            all
        }
    };
}
pub(super) use pick_by_lane;

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;
