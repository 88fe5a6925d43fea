//! Vectors of 16 bytes in plain Rust: for other processors, and for Miri.

use super::vector::{Vector, pick_by_lane};

#[derive(Clone, Copy)]
pub(super) struct Portable([u8; 16]);

impl Portable {
    #[inline(always)]
    fn shuffle(self, mask: Self) -> Self {
        Self(mask.0.map(|from| if from < 16 { self.0[usize::from(from)] } else { 0 }))
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Self((u128::from_ne_bytes(self.0) | u128::from_ne_bytes(other.0)).to_ne_bytes())
    }
}

impl Vector for Portable {
    const BYTES: usize = 16;
    type Lane = Self;

    pick_by_lane!();

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: 16 readable bytes, promised by the caller.
        Self(unsafe { from.cast::<[u8; 16]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: 16 writable bytes, promised by the caller.
        unsafe { to.cast::<[u8; 16]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn stream(self, to: *mut u8) {
        // SAFETY: promised by the caller.
        unsafe { self.store(to) }
    }

    #[inline(always)]
    fn zip_low<const B: usize>(self, other: Self) -> Self {
        zip::<B>(self, other, 0)
    }

    #[inline(always)]
    fn zip_high<const B: usize>(self, other: Self) -> Self {
        zip::<B>(self, other, if B < 16 { 8 } else { 0 })
    }

    #[inline(always)]
    fn prefetch(_at: *const u8) {}
}

#[inline(always)]
fn zip<const B: usize>(one: Portable, other: Portable, start: usize) -> Portable {
    Portable(std::array::from_fn(|at| {
        let (element, byte) = (at / B, at % B);
        let from = start + element / 2 * B + byte;
        if element.is_multiple_of(2) { one.0[from] } else { other.0[from] }
    }))
}
