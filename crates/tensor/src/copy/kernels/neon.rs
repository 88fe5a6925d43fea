//! Vectors of aarch64, all of whose processors have NEON.

use std::arch::aarch64::*;
use std::arch::asm;

use super::vector::{Vector, pick_by_lane};

#[derive(Clone, Copy)]
pub(super) struct Neon(uint8x16_t);

impl Neon {
    #[inline(always)]
    fn shuffle(self, mask: Self) -> Self {
        // A number past the table gives 0.
        // SAFETY: every aarch64 has NEON.
        Self(unsafe { vqtbl1q_u8(self.0, mask.0) })
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        // SAFETY: every aarch64 has NEON.
        Self(unsafe { vorrq_u8(self.0, other.0) })
    }
}

impl Vector for Neon {
    const BYTES: usize = 16;
    type Lane = Self;

    pick_by_lane!();

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: 16 readable bytes, promised by the caller.
        Self(unsafe { vld1q_u8(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: 16 writable bytes, promised by the caller.
        unsafe { vst1q_u8(to, self.0) }
    }

    // Processors of aarch64 see that whole lines are written, and do not read them first.
    #[inline(always)]
    unsafe fn stream(self, to: *mut u8) {
        // SAFETY: promised by the caller.
        unsafe { self.store(to) }
    }

    #[inline(always)]
    fn zip_low<const B: usize>(self, other: Self) -> Self {
        // SAFETY: every aarch64 has NEON.
        Self(unsafe { zip_low::<B>(self.0, other.0) })
    }

    #[inline(always)]
    fn zip_high<const B: usize>(self, other: Self) -> Self {
        // SAFETY: every aarch64 has NEON.
        Self(unsafe { zip_high::<B>(self.0, other.0) })
    }

    #[inline(always)]
    fn prefetch(at: *const u8) {
        // SAFETY: a hint, which takes any address.
        unsafe {
            asm!("prfm pldl2keep, [{}]", in(reg) at, options(nostack, readonly, preserves_flags))
        };
    }
}

macro_rules! zip {
    (
        $name:ident($one:ident, $other:ident) -> $whole:ident,
        $u8:ident $u16:ident $u32:ident $u64:ident
    ) => {
        /// Elements of `B` bytes in turn.
        #[inline]
        #[target_feature(enable = "neon")]
        fn $name<const B: usize>($one: uint8x16_t, $other: uint8x16_t) -> uint8x16_t {
            match B {
                1 => $u8($one, $other),
                2 => {
                    let halves = (vreinterpretq_u16_u8($one), vreinterpretq_u16_u8($other));
                    vreinterpretq_u8_u16($u16(halves.0, halves.1))
                }
                4 => {
                    let words = (vreinterpretq_u32_u8($one), vreinterpretq_u32_u8($other));
                    vreinterpretq_u8_u32($u32(words.0, words.1))
                }
                8 => {
                    let longs = (vreinterpretq_u64_u8($one), vreinterpretq_u64_u8($other));
                    vreinterpretq_u8_u64($u64(longs.0, longs.1))
                }
                _ => $whole,
            }
        }
    };
}
zip!(zip_low(one, other) -> one, vzip1q_u8 vzip1q_u16 vzip1q_u32 vzip1q_u64);
zip!(zip_high(one, other) -> other, vzip2q_u8 vzip2q_u16 vzip2q_u32 vzip2q_u64);
