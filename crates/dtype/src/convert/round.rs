//! Conversions between `f32` and `f64` that keep the sign of NaN, and rounding to odd.

/// `f64` of the same value.
///
/// Rust leaves open what sign a NaN has that comes out of `as`; here it keeps its sign.
#[inline(always)]
pub(crate) fn f32_to_f64(value: f32) -> f64 {
    f64::from(value).copysign(f64::from_bits(u64::from(value.to_bits()) << 32))
}

/// Nearest `f32`, ties to even; a NaN keeps its sign.
#[inline(always)]
pub(crate) fn f64_to_f32(value: f64) -> f32 {
    (value as f32).copysign(f32::from_bits((value.to_bits() >> 32) as u32))
}

/// A value as an `f32` that was rounded to odd: exact, or else the neighbour with an odd mantissa.
///
/// Rounding that once more, to a format at least two bits shorter, gives what rounding the value
/// itself gives; plain double rounding does not, because the first step can create a tie.
/// (Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums", 2008.)
pub(crate) trait ToOddF32 {
    fn to_odd_f32(self) -> f32;
}

macro_rules! exact_in_f32 {
    ($($T:ty)*) => {$(
        impl ToOddF32 for $T {
            #[inline(always)]
            fn to_odd_f32(self) -> f32 {
                f32::from(self)
            }
        }
    )*};
}
exact_in_f32!(i8 i16 u8 u16 f32);

macro_rules! exact_in_f64 {
    ($($T:ty)*) => {$(
        impl ToOddF32 for $T {
            #[inline(always)]
            fn to_odd_f32(self) -> f32 {
                f64::from(self).to_odd_f32()
            }
        }
    )*};
}
exact_in_f64!(i32 u32);

impl ToOddF32 for f64 {
    #[inline(always)]
    fn to_odd_f32(self) -> f32 {
        let nearest = f64_to_f32(self);
        let back = f64::from(nearest);
        // A NaN counts as inexact: the step leaves it one, of the same sign.
        let inexact = back != self;
        let even = nearest.to_bits() & 1 == 0;
        // The neighbours of an even mantissa are odd; infinity counts as even, after `f32::MAX`.
        let toward_zero = back.abs() > self.abs();
        let step = if toward_zero { u32::MAX } else { 1 };
        let moved = nearest.to_bits().wrapping_add(step);
        if inexact && even { f32::from_bits(moved) } else { nearest }
    }
}

impl ToOddF32 for u64 {
    #[inline(always)]
    fn to_odd_f32(self) -> f32 {
        const EXACT_IN_F64: u64 = 1 << 53;
        const DROPPED: u64 = 0x7ff;
        // From 2^53 on the value has 54 to 64 bits: without the last 11 it is exact in f64, and
        // a bit set in their place tells that something was dropped.
        let sticky = if self & DROPPED == 0 { 0 } else { DROPPED + 1 };
        let odd = (self & !DROPPED) | sticky;
        let exact = if self < EXACT_IN_F64 { self } else { odd };
        (exact as f64).to_odd_f32()
    }
}

impl ToOddF32 for i64 {
    #[inline(always)]
    fn to_odd_f32(self) -> f32 {
        let magnitude = self.unsigned_abs().to_odd_f32();
        if self < 0 { -magnitude } else { magnitude }
    }
}
