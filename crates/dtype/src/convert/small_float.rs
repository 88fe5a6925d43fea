//! Floats of 8 and 16 bits, to and from `f32`, by bits.
//!
//! `half` picks a hardware instruction at run time and `float8` saturates where NumPy gives NaN and
//! infinity and drops the sign of NaN. Done here, every platform gives the same bits, and the loop
//! over a slice vectorises. Both ways are computed and one is chosen: a GPU's threads do not part.

use core::hint::select_unpredictable;

/// What tells one small float format from another.
#[derive(Clone, Copy)]
pub(crate) struct Format {
    mantissa_bits: u32,
    bias: u32,
    sign: u32,
    /// Magnitude of what comes after the largest finite value: infinity, or NaN where the format
    /// has no infinity.
    overflow: u32,
    nan: u32,
    /// Mantissa bits of a NaN that are kept. Zero for the formats of `ml_dtypes`, which has one NaN.
    nan_payload: u32,
}

pub(crate) const F16: Format = Format {
    mantissa_bits: 10,
    bias: 15,
    sign: 0x8000,
    overflow: 0x7c00,
    nan: 0x7e00,
    nan_payload: 0x03ff,
};

pub(crate) const BF16: Format = Format {
    mantissa_bits: 7,
    bias: 127,
    sign: 0x8000,
    overflow: 0x7f80,
    nan: 0x7fc0,
    nan_payload: 0,
};

pub(crate) const F8E4M3: Format =
    Format { mantissa_bits: 3, bias: 7, sign: 0x80, overflow: 0x7f, nan: 0x7f, nan_payload: 0 };

pub(crate) const F8E5M2: Format =
    Format { mantissa_bits: 2, bias: 15, sign: 0x80, overflow: 0x7c, nan: 0x7e, nan_payload: 0 };

const F32_MANTISSA_BITS: u32 = 23;
const F32_BIAS: u32 = 127;
const F32_MAGNITUDE: u32 = 0x7fff_ffff;
const F32_INFINITY: u32 = 0x7f80_0000;

impl Format {
    const fn shift(self) -> u32 {
        F32_MANTISSA_BITS - self.mantissa_bits
    }

    /// Difference of the exponents that `f32` and this format write for the same value.
    const fn rebias(self) -> u32 {
        (F32_BIAS - self.bias) << F32_MANTISSA_BITS
    }

    /// Smallest `f32` magnitude that is normal in this format; zero if both have one exponent
    /// range, where subnormal numbers need no care.
    const fn first_normal(self) -> u32 {
        if self.rebias() == 0 { 0 } else { self.rebias() + (1 << F32_MANTISSA_BITS) }
    }

    /// The power of two whose last place in `f32` is this format's smallest subnormal: adding it
    /// lets the adder round a subnormal result.
    const fn subnormal_magic(self) -> u32 {
        (F32_BIAS + 1 + self.shift() - self.bias) << F32_MANTISSA_BITS
    }
}

/// Bits of the value in `format` nearest to `value`, ties to even.
#[inline(always)]
pub(crate) fn narrow(value: f32, format: Format) -> u32 {
    let bits = value.to_bits();
    let magnitude = bits & F32_MAGNITUDE;
    let finite = select_unpredictable(
        magnitude >= format.first_normal(),
        narrow_normal(magnitude, format),
        narrow_subnormal(magnitude, format),
    );
    let nan = format.nan | ((magnitude >> format.shift()) & format.nan_payload);
    let result = if magnitude > F32_INFINITY { nan } else { finite };
    result | if bits > F32_MAGNITUDE { format.sign } else { 0 }
}

#[inline(always)]
fn narrow_normal(magnitude: u32, format: Format) -> u32 {
    let shift = format.shift();
    let round_half_even = (1 << (shift - 1)) - 1 + ((magnitude >> shift) & 1);
    // Wraps only for magnitudes that `narrow` sends elsewhere. A carry out of the mantissa moves
    // to the next exponent, which is what rounding up means.
    let rounded = magnitude.wrapping_sub(format.rebias()).wrapping_add(round_half_even) >> shift;
    rounded.min(format.overflow)
}

#[inline(always)]
fn narrow_subnormal(magnitude: u32, format: Format) -> u32 {
    let magic = format.subnormal_magic();
    let sum = f32::from_bits(magnitude) + f32::from_bits(magic);
    sum.to_bits().wrapping_sub(magic)
}

/// The value of `bits` in `format`; exact.
#[inline(always)]
pub(crate) fn widen(bits: u32, format: Format) -> f32 {
    let magnitude = bits & (format.sign - 1);
    let shifted = magnitude << format.shift();
    let first_normal = format.rebias() + (1 << F32_MANTISSA_BITS);
    let subnormal = f32::from_bits(shifted + first_normal) - f32::from_bits(first_normal);
    let is_normal = magnitude >> format.mantissa_bits != 0 || format.rebias() == 0;
    let finite = select_unpredictable(is_normal, shifted + format.rebias(), subnormal.to_bits());
    let beyond = F32_INFINITY | (shifted & !F32_INFINITY);
    let result = select_unpredictable(magnitude >= format.overflow, beyond, finite);
    f32::from_bits(result | if bits & format.sign != 0 { !F32_MAGNITUDE } else { 0 })
}
