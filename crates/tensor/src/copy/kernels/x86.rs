//! Vectors of x86-64.

use std::arch::x86_64::*;

use ndbridge_dtype::{DType, Element};

use super::vector::{Vector, pick_by_lane};

/// 16 bytes; needs SSSE3.
#[derive(Clone, Copy)]
pub(super) struct Ssse3(__m128i);

/// 32 bytes; needs AVX2.
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256i);

/// 64 bytes; needs AVX-512 F, BW and VBMI.
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512i);

/// Two lanes.
///
/// # Safety
/// 16 bytes at both addresses are readable; the processor has AVX2.
#[inline(always)]
unsafe fn two_lanes(low: *const u8, high: *const u8) -> __m256i {
    // SAFETY: promised by the caller.
    unsafe { _mm256_loadu2_m128i(high.cast(), low.cast()) }
}

/// The methods of a register that differ by the names of intrinsics alone.
macro_rules! methods {
    ($load:ident, $store:ident, $stream:ident, $($B:literal: $low:ident $high:ident),*) => {
        #[inline(always)]
        unsafe fn load(from: *const u8) -> Self {
            // SAFETY: promised by the caller.
            Self(unsafe { $load(from.cast()) })
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut u8) {
            // SAFETY: promised by the caller.
            unsafe { $store(to.cast(), self.0) }
        }

        #[inline(always)]
        unsafe fn stream(self, to: *mut u8) {
            // SAFETY: promised by the caller.
            unsafe { $stream(to.cast(), self.0) }
        }

        #[inline(always)]
        fn zip_low<const B: usize>(self, other: Self) -> Self {
            match B {
                // SAFETY: a vector exists, so the processor has its instructions.
                $($B => Self(unsafe { $low(self.0, other.0) }),)*
                _ => self,
            }
        }

        #[inline(always)]
        fn zip_high<const B: usize>(self, other: Self) -> Self {
            match B {
                // SAFETY: a vector exists, so the processor has its instructions.
                $($B => Self(unsafe { $high(self.0, other.0) }),)*
                _ => other,
            }
        }

        #[inline(always)]
        fn prefetch(at: *const u8) {
            // SAFETY: every x86-64 has it, and it takes any address.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) };
        }
    };
}

macro_rules! shuffle_and_or {
    ($V:ident: $shuffle:ident $or:ident) => {
        impl $V {
            #[inline(always)]
            fn shuffle(self, mask: Self) -> Self {
                // SAFETY: a vector exists, so the processor has its instructions.
                Self(unsafe { $shuffle(self.0, mask.0) })
            }

            #[inline(always)]
            fn or(self, other: Self) -> Self {
                // SAFETY: a vector exists, so the processor has its instructions.
                Self(unsafe { $or(self.0, other.0) })
            }
        }
    };
}
shuffle_and_or!(Ssse3: _mm_shuffle_epi8 _mm_or_si128);
shuffle_and_or!(Avx2: _mm256_shuffle_epi8 _mm256_or_si256);

impl Vector for Ssse3 {
    const BYTES: usize = 16;
    type Lane = Self;

    pick_by_lane!();
    methods!(
        _mm_loadu_si128, _mm_storeu_si128, _mm_stream_si128,
        1: _mm_unpacklo_epi8 _mm_unpackhi_epi8, 2: _mm_unpacklo_epi16 _mm_unpackhi_epi16,
        4: _mm_unpacklo_epi32 _mm_unpackhi_epi32, 8: _mm_unpacklo_epi64 _mm_unpackhi_epi64
    );
}

impl Vector for Avx2 {
    const BYTES: usize = 32;
    type Lane = Ssse3;

    pick_by_lane!();
    methods!(
        _mm256_loadu_si256, _mm256_storeu_si256, _mm256_stream_si256,
        1: _mm256_unpacklo_epi8 _mm256_unpackhi_epi8,
        2: _mm256_unpacklo_epi16 _mm256_unpackhi_epi16,
        4: _mm256_unpacklo_epi32 _mm256_unpackhi_epi32,
        8: _mm256_unpacklo_epi64 _mm256_unpackhi_epi64
    );

    #[inline(always)]
    unsafe fn load_lanes(from: *const u8, step: isize) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { two_lanes(from, from.wrapping_offset(step)) })
    }

    #[inline(always)]
    unsafe fn load_groups(from: *const u8, step: isize) -> Self {
        // SAFETY: promised by the caller; a group is a lane.
        unsafe { Self::load_lanes(from, step) }
    }

    #[inline(always)]
    unsafe fn store_groups(self, to: *mut u8, step: isize) {
        let high = to.wrapping_offset(step);
        // SAFETY: promised by the caller.
        unsafe { _mm256_storeu2_m128i(high.cast(), to.cast(), self.0) }
    }
}

/// For each byte, its number in the first or second pair of vectors, and whether it is the second.
#[derive(Clone, Copy)]
pub(super) struct Pick {
    numbers: __m512i,
    late: u64,
}

impl Vector for Avx512 {
    const BYTES: usize = 64;
    const GROUP: usize = 64;
    type Pick<const N: usize> = Pick;
    type Lane = Ssse3;

    methods!(
        _mm512_loadu_si512, _mm512_storeu_si512, _mm512_stream_si512,
        1: _mm512_unpacklo_epi8 _mm512_unpackhi_epi8,
        2: _mm512_unpacklo_epi16 _mm512_unpackhi_epi16,
        4: _mm512_unpacklo_epi32 _mm512_unpackhi_epi32,
        8: _mm512_unpacklo_epi64 _mm512_unpackhi_epi64
    );

    #[inline(always)]
    unsafe fn load_lanes(from: *const u8, step: isize) -> Self {
        let at = |lane: isize| from.wrapping_offset(lane.wrapping_mul(step));
        // SAFETY: promised by the caller.
        let low = unsafe { two_lanes(at(0), at(1)) };
        // SAFETY: promised by the caller.
        let high = unsafe { two_lanes(at(2), at(3)) };
        // SAFETY: the instructions are promised by the caller.
        let low = unsafe { _mm512_castsi256_si512(low) };
        // SAFETY: the instructions are promised by the caller.
        Self(unsafe { _mm512_inserti64x4::<1>(low, high) })
    }

    #[inline(always)]
    unsafe fn pick<const N: usize>(from: impl Fn(usize) -> usize) -> Pick {
        let (mut numbers, mut late) = ([0_u8; 64], 0);
        for (at, number) in numbers.iter_mut().enumerate() {
            let from = from(at);
            *number = (from % 128) as u8;
            late |= u64::from(from >= 128) << at;
        }
        // SAFETY: an array of as many bytes; the instructions are promised by the caller.
        Pick { numbers: unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) }, late }
    }

    #[inline(always)]
    fn picked<const N: usize>(vectors: &[Self; N], Pick { numbers, late }: Pick) -> Self {
        let early = vectors[1 % N];
        // SAFETY: a vector exists, so the processor has its instructions, here and below.
        let early = unsafe { _mm512_permutex2var_epi8(vectors[0].0, numbers, early.0) };
        Self(match N {
            // SAFETY: as above; of the numbers it takes the bits within a vector.
            3 => unsafe { _mm512_mask_permutexvar_epi8(early, late, numbers, vectors[2].0) },
            4 => {
                let (third, fourth) = (vectors[2].0, vectors[3].0);
                // SAFETY: as above.
                let rest = unsafe { _mm512_permutex2var_epi8(third, numbers, fourth) };
                // SAFETY: as above.
                unsafe { _mm512_mask_blend_epi8(late, early, rest) }
            }
            _ => early,
        })
    }
}

/// Makes what was streamed visible before anything that is written later.
pub(super) fn settle() {
    // SAFETY: every x86-64 has it.
    unsafe { _mm_sfence() };
}

/// The kernels, compiled for one sort of vector.
macro_rules! level {
    ($level:ident, $V:ident, $features:literal:
     $($kernel:ident in $module:ident <$(const $Generic:ident: $T:ty),*>,)*) => {
        pub(super) mod $level {
            use std::ops::Range;

            use super::super::super::work::Work;
            use super::$V;

            $(
                /// # Safety
                /// As the kernel of this name; the processor has the level's instructions.
                #[target_feature(enable = $features)]
                pub(in super::super) unsafe fn $kernel<$(const $Generic: $T),*>(
                    work: &Work,
                    from: *const u8,
                    to: *mut u8,
                    range: Range<usize>,
                ) {
                    use super::super::$module::$kernel;
                    // SAFETY: promised by the caller.
                    unsafe { $kernel::<$V $(, $Generic)*>(work, from, to, range) }
                }
            )*
        }
    };
    ($level:ident, $V:ident, $features:literal) => {
        level!(
            $level, $V, $features:
            transpose in transpose<const B: usize>,
            block in rows<>,
            rows in rows<>,
            split in channels<const CHANNELS: usize>,
            merge in channels<const CHANNELS: usize>,
            step in step<const STEP: usize, const BACK: bool>,
            repeat in step<>,
            staged in staged<>,
            cast_run in cast<>,
            cast_plane in cast<>,
        );
    };
}
level!(ssse3, Ssse3, "ssse3");
level!(avx2, Avx2, "avx2");
level!(avx512, Avx512, "avx512f,avx512bw,avx512vbmi");

/// The conversions, compiled with the instructions of a level.
macro_rules! convert {
    ($name:ident, $features:literal, $halves:ident) => {
        /// # Safety
        /// As [`Convert`](super::super::work::Convert); the processor has the level's instructions.
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $name<S: Element, D: Element>(
            from: *const u8,
            to: *mut u8,
            len: usize,
        ) {
            let mut done = 0;
            if S::DTYPE == DType::F32 && D::DTYPE == DType::F16 {
                // SAFETY: promised by the caller.
                done = unsafe { halves::$halves(from, to, len) };
            }
            let from = from.wrapping_add(done * size_of::<S>());
            let to = to.wrapping_add(done * size_of::<D>());
            // SAFETY: promised by the caller, for the rest.
            unsafe { super::convert::run::<S, D>(from, to, len - done) }
        }
    };
}
convert!(convert_avx2, "avx2,f16c", by_eight);
convert!(convert_avx512, "avx512f,avx512bw,avx512dq,avx512vl,f16c", by_sixteen);

/// `f32` to `f16` by the instructions for it, which give the bits that `convert` gives: they round once,
/// to nearest even, and keep the sign and the first bits of a NaN.
mod halves {
    use std::arch::x86_64::*;

    const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT;

    /// Converts as many elements as whole vectors hold; how many those were.
    ///
    /// # Safety
    /// As [`Convert`](super::super::super::work::Convert) for `f32` to `f16`.
    #[target_feature(enable = "avx,f16c")]
    pub(super) unsafe fn by_eight(from: *const u8, to: *mut u8, len: usize) -> usize {
        let whole = len / 8 * 8;
        for at in (0..whole).step_by(8) {
            // SAFETY: eight elements.
            let values = unsafe { _mm256_loadu_ps(from.wrapping_add(4 * at).cast()) };
            let halves = _mm256_cvtps_ph::<NEAREST>(values);
            // SAFETY: room for as many.
            unsafe { _mm_storeu_si128(to.wrapping_add(2 * at).cast(), halves) };
        }
        whole
    }

    /// # Safety
    /// As [`Convert`](super::super::super::work::Convert) for `f32` to `f16`.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn by_sixteen(from: *const u8, to: *mut u8, len: usize) -> usize {
        let whole = len / 16 * 16;
        for at in (0..whole).step_by(16) {
            // SAFETY: sixteen elements.
            let values = unsafe { _mm512_loadu_ps(from.wrapping_add(4 * at).cast()) };
            let halves = _mm512_cvtps_ph::<NEAREST>(values);
            // SAFETY: room for as many.
            unsafe { _mm256_storeu_si256(to.wrapping_add(2 * at).cast(), halves) };
        }
        whole
    }
}
