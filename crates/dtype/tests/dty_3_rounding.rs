//! DTY-3: floats are rounded once, to nearest, ties to even, against a slow model: all values of
//! the target, sorted, and the two around the source compared exactly.

use ndbridge_dtype::{Element, F8E4M3, F8E5M2, bf16, convert, f16};
use proptest::prelude::*;

/// Exact; `powi` need not be, and is not in Miri.
fn two_to(exponent: i32) -> f64 {
    f64::from_bits(u64::try_from(1023 + exponent).expect("a normal number") << 52)
}

/// A float of 8 or 16 bits, as the model needs to know it.
trait SmallFloat: Element {
    const SIGN: u32;
    /// Bits of infinity, or of NaN where there is no infinity.
    const OVERFLOW: u32;
    /// Where the value after the largest finite one would be, which decides what overflows.
    const BEYOND: f64;
    fn from_bits(bits: u32) -> Self;
    fn bits(self) -> u32;
}

macro_rules! small_float {
    ($($T:ident, $Bits:ty, $sign:expr, $overflow:expr, $beyond:expr;)*) => {$(
        impl SmallFloat for $T {
            const SIGN: u32 = $sign;
            const OVERFLOW: u32 = $overflow;
            const BEYOND: f64 = $beyond;
            fn from_bits(bits: u32) -> Self {
                $T::from_bits(bits as $Bits)
            }
            fn bits(self) -> u32 {
                self.to_bits().into()
            }
        }
    )*};
}
small_float! {
    f16, u16, 0x8000, 0x7c00, 65536.0;
    bf16, u16, 0x8000, 0x7f80, 340282366920938463463374607431768211456.0; // 2^128
    F8E4M3, u8, 0x80, 0x7f, 480.0;
    F8E5M2, u8, 0x80, 0x7c, 65536.0;
}

/// Value of the bits of a magnitude, by the definition of the format.
fn value_of<T: SmallFloat>(bits: u32) -> f64 {
    if bits == T::OVERFLOW {
        return T::BEYOND;
    }
    let (mantissa_bits, bias) = match T::DTYPE.name() {
        "float16" => (10, 15),
        "bfloat16" => (7, 127),
        "float8_e4m3fn" => (3, 7),
        _ => (2, 15),
    };
    let exponent = (bits >> mantissa_bits) as i32;
    let mantissa = f64::from(bits & ((1 << mantissa_bits) - 1));
    let unit = two_to(exponent.max(1) - bias - mantissa_bits);
    let implicit = if exponent == 0 { 0.0 } else { f64::from(1 << mantissa_bits) };
    (implicit + mantissa) * unit
}

/// Bits of the value nearest to a magnitude.
fn nearest<T: SmallFloat>(magnitude: f64) -> u32 {
    // All magnitudes ascend with their bits.
    let (mut low, mut high) = (0, T::OVERFLOW);
    if magnitude >= T::BEYOND {
        return T::OVERFLOW;
    }
    while high - low > 1 {
        let middle = low.midpoint(high);
        if value_of::<T>(middle) <= magnitude { low = middle } else { high = middle }
    }
    let tie = value_of::<T>(low).midpoint(value_of::<T>(high));
    let is_low = magnitude < tie || magnitude == tie && low % 2 == 0;
    if is_low { low } else { high }
}

fn model<T: SmallFloat>(value: f64) -> u32 {
    nearest::<T>(value.abs()) | if value.is_sign_negative() { T::SIGN } else { 0 }
}

#[track_caller]
fn check<S: Element, T: SmallFloat>(value: S, exact: f64) {
    let (found, expected) = (convert::<S, T>(value).bits(), model::<T>(exact));
    assert_eq!(found, expected, "{} {exact:e} to {}: {found:#x}", S::DTYPE, T::DTYPE);
}

/// Each value of the target, each tie between two, and their neighbours in float64 and float32.
fn check_around_every_value<T: SmallFloat>() {
    // Miri is some thousand times slower.
    let step = if cfg!(miri) { 1021 } else { 1 };
    for bits in (0..T::OVERFLOW).step_by(step) {
        let (value, next) = (value_of::<T>(bits), value_of::<T>(bits + 1));
        for around in [value, value.midpoint(next)] {
            for exact in [around, around.next_up(), around.next_down(), -around] {
                check::<f64, T>(exact, exact);
            }
            let single = around as f32;
            for single in [single, single.next_up(), single.next_down(), -single] {
                check::<f32, T>(single, single.into());
            }
        }
    }
}

#[test]
fn dty_3_float16_is_rounded_once() {
    check_around_every_value::<f16>();
}

#[test]
fn dty_3_bfloat16_is_rounded_once() {
    check_around_every_value::<bf16>();
}

#[test]
fn dty_3_float8_is_rounded_once() {
    check_around_every_value::<F8E4M3>();
    check_around_every_value::<F8E5M2>();
}

#[test]
fn dty_3_small_floats_widen_exactly() {
    fn check_all<T: SmallFloat>() {
        let step = if cfg!(miri) { 1021 } else { 1 };
        for bits in (0..T::OVERFLOW).step_by(step) {
            for (bits, sign) in [(bits, 1.0), (bits | T::SIGN, -1.0)] {
                let (value, expected) = (T::from_bits(bits), sign * value_of::<T>(bits & !T::SIGN));
                let (single, double) = (convert::<T, f32>(value), convert::<T, f64>(value));
                assert_eq!(double.to_bits(), expected.to_bits(), "{} {bits:#x}", T::DTYPE);
                assert_eq!(f64::from(single).to_bits(), expected.to_bits());
                assert_eq!(convert::<f64, T>(double).bits(), bits);
                assert_eq!(convert::<T, T>(value).bits(), bits);
            }
        }
    }
    check_all::<f16>();
    check_all::<bf16>();
    check_all::<F8E4M3>();
    check_all::<F8E5M2>();
}

#[test]
fn dty_3_double_rounding_is_avoided() {
    // Each source is just above a tie, and on it after a first rounding to float32.
    let tie = |last_place: i32| 1.0 + two_to(last_place);
    assert_eq!(convert::<f64, f16>(tie(-11) + two_to(-40)), f16::from_f32(1.000_976_6));
    assert_eq!(convert::<f64, bf16>(tie(-8) + two_to(-40)), bf16::from_f32(1.007_812_5));
    assert_eq!(convert::<f64, F8E4M3>(tie(-4) + two_to(-40)).to_f32(), 1.125);
    assert_eq!(convert::<f64, F8E5M2>(tie(-3) + two_to(-40)).to_f32(), 1.25);
    let integer = (1_i64 << 62) + (1 << 54) + 1;
    assert_eq!(convert::<i64, bf16>(integer).to_f64(), two_to(62) + two_to(55));
    assert_eq!(convert::<i64, bf16>(-integer).to_f64(), -(two_to(62) + two_to(55)));
}

#[test]
fn dty_3_nan_keeps_its_sign() {
    fn check_all<S: Element>() {
        for nan in [f64::NAN.copysign(1.0), f64::NAN.copysign(-1.0)] {
            let source: S = convert(nan);
            check_to::<S, f16>(source, nan);
            check_to::<S, bf16>(source, nan);
            check_to::<S, f32>(source, nan);
            check_to::<S, f64>(source, nan);
            check_to::<S, F8E4M3>(source, nan);
            check_to::<S, F8E5M2>(source, nan);
        }
    }
    fn check_to<S: Element, D: Element>(source: S, nan: f64) {
        let found: f64 = convert(convert::<S, D>(source));
        assert!(found.is_nan(), "{} to {}: {found}", S::DTYPE, D::DTYPE);
        assert_eq!(found.is_sign_negative(), nan.is_sign_negative(), "{}", D::DTYPE);
    }
    check_all::<f16>();
    check_all::<bf16>();
    check_all::<f32>();
    check_all::<f64>();
    check_all::<F8E4M3>();
    check_all::<F8E5M2>();
}

#[test]
fn dty_3_every_nan_stays_a_nan() {
    // A payload that does not fit must not leave an infinity behind.
    for bits in [0x7f80_0001_u32, 0xff80_0001, 0x7fbf_ffff, 0x7fff_ffff] {
        let single = f32::from_bits(bits);
        let double = f64::from_bits(u64::from(bits) << 32 | 0x7ff0_0000_0000_0001);
        assert!(convert::<f32, f16>(single).is_nan());
        assert!(convert::<f32, bf16>(single).is_nan());
        assert!(convert::<f32, F8E4M3>(single).is_nan());
        assert!(convert::<f32, F8E5M2>(single).is_nan());
        assert!(convert::<f64, f32>(double).is_nan());
        assert!(convert::<f64, f16>(double).is_nan());
        assert!(convert::<f64, bf16>(double).is_nan());
    }
    assert!(convert::<f64, f32>(f64::from_bits(0x7ff0_0000_0000_0001)).is_nan());
    for bits in 0x7c01..=0x7fff_u16 {
        assert!(convert::<f16, f32>(f16::from_bits(bits)).is_nan());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 20_000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn dty_3_any_float64_rounds_as_the_model(value in proptest::num::f64::ANY) {
        prop_assume!(!value.is_nan());
        check::<f64, f16>(value, value);
        check::<f64, bf16>(value, value);
        check::<f64, F8E4M3>(value, value);
        check::<f64, F8E5M2>(value, value);
    }

    #[test]
    fn dty_3_any_float32_rounds_as_the_model(bits: u32) {
        let value = f32::from_bits(bits);
        prop_assume!(!value.is_nan());
        check::<f32, f16>(value, value.into());
        check::<f32, bf16>(value, value.into());
        check::<f32, F8E4M3>(value, value.into());
        check::<f32, F8E5M2>(value, value.into());
    }

    // Shifted, so that every magnitude occurs; a float64 holds 53 bits, and a bit below them is
    // enough to tell which side of a tie the rest is on.
    #[test]
    fn dty_3_any_integer_rounds_as_the_model(integer: u64, shift in 0..64_u32) {
        let integer = integer >> shift;
        let keep = |value: u64| if value >> 53 == 0 { value } else { value & !0x7ff | 0x800 };
        let exact = if integer & 0x7ff == 0 { integer as f64 } else { keep(integer) as f64 };
        check::<u64, bf16>(integer, exact);
        check::<u64, f16>(integer, exact);
        let signed = integer as i64;
        prop_assume!(signed >= 0);
        check::<i64, bf16>(-signed, if signed == 0 { 0.0 } else { -exact });
        check::<i64, F8E5M2>(-signed, if signed == 0 { 0.0 } else { -exact });
    }
}
