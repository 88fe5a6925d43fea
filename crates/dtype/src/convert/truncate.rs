//! Floats to integers: toward zero, saturated, NaN to 0.

use core::hint::select_unpredictable;

/// What `value as Self` gives.
pub(crate) trait Truncate<Float>: Copy {
    fn truncate_from(value: Float) -> Self;
}

/// LLVM has no vector code for the saturation of `as` on x86. This is arithmetic that it has vector
/// code for; over a slice it takes two thirds of the time (wider integers gain nothing).
macro_rules! truncate_in_vectors {
    ($($T:ty),*) => {$(
        impl Truncate<f32> for $T {
            #[inline(always)]
            fn truncate_from(value: f32) -> Self {
                const MANTISSA_BITS: u32 = 23;
                // The first value whose last place is 1. A smaller one that is added to it loses
                // its fraction and leaves its whole part, rounded, in the mantissa.
                const WHOLE: f32 = (1 << MANTISSA_BITS) as f32;

                let number = select_unpredictable(value.is_nan(), 0.0, value);
                let bounded = number.clamp(<$T>::MIN.into(), <$T>::MAX.into());
                let magnitude = bounded.abs();
                let shifted = magnitude + WHOLE;
                let nearest = shifted.to_bits() & ((1 << MANTISSA_BITS) - 1);
                let whole = nearest - u32::from(shifted - WHOLE > magnitude);
                let signed = select_unpredictable(bounded < 0.0, whole.wrapping_neg(), whole);
                signed as Self
            }
        }
    )*};
}
truncate_in_vectors!(i8, i16, u8, u16);

macro_rules! truncate_with_as {
    ($Float:ty => $($T:ty),*) => {$(
        impl Truncate<$Float> for $T {
            #[inline(always)]
            fn truncate_from(value: $Float) -> Self {
                value as Self
            }
        }
    )*};
}
truncate_with_as!(f32 => i32, i64, u32, u64);
truncate_with_as!(f64 => i8, i16, i32, i64, u8, u16, u32, u64);
