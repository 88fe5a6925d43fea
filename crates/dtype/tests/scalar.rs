//! `Scalar`: bounds and printing.

use ndbridge_dtype::{Complex, DType, DTypeError, Scalar};

/// Value, dtype, whether NumPy puts the Python number into an array of that dtype.
const FITS: &[(Scalar, DType, bool)] = &[
    (Scalar::Int(127), DType::I8, true),
    (Scalar::Int(128), DType::I8, false),
    (Scalar::Int(-128), DType::I8, true),
    (Scalar::Int(-129), DType::I8, false),
    (Scalar::Int(-1), DType::U8, false),
    (Scalar::Int(256), DType::U8, false),
    (Scalar::Int(-1), DType::U64, false),
    (Scalar::UInt(u64::MAX), DType::U64, true),
    (Scalar::UInt(u64::MAX), DType::I64, false),
    (Scalar::UInt(1 << 63), DType::I64, false),
    (Scalar::Int(i64::MIN), DType::I64, true),
    (Scalar::Int(1000), DType::Bool, true),
    (Scalar::Int(1_000_000), DType::F16, true),
    (Scalar::Bool(true), DType::I8, true),
    (Scalar::Float(1.5), DType::I8, true),
    (Scalar::Float(127.9), DType::I8, true),
    (Scalar::Float(128.0), DType::I8, false),
    (Scalar::Float(-0.9), DType::U8, true),
    (Scalar::Float(f64::NAN), DType::I32, false),
    (Scalar::Float(f64::INFINITY), DType::I64, false),
    (Scalar::Float(1.8446744073709552e19), DType::U64, false),
    (Scalar::Float(9.223372036854775e18), DType::I64, true),
    (Scalar::Float(1e300), DType::F16, true),
    (Scalar::Complex(Complex::new(1.0, 0.0)), DType::F64, false),
    (Scalar::Complex(Complex::new(1.0, 0.0)), DType::I64, false),
    (Scalar::Complex(Complex::new(1.0, 2.0)), DType::C64, true),
    (Scalar::Complex(Complex::new(1.0, 2.0)), DType::Bool, true),
];

#[test]
fn dty_3_checked_conversion_refuses_what_numpy_refuses() {
    for &(value, dtype, fits) in FITS {
        let found = value.fits(dtype);
        assert_eq!(found.is_ok(), fits, "{value} as {dtype}: {found:?}");
    }
    assert_eq!(
        Scalar::Int(300).checked_to_element::<u8>(),
        Err(DTypeError::OutOfBounds { value: Scalar::Int(300), dtype: DType::U8 })
    );
    assert_eq!(Scalar::Int(300).to_element::<u8>(), 44);
    assert_eq!(Scalar::Int(255).checked_to_element::<u8>(), Ok(255));
}

#[test]
fn prints_as_python_does() {
    let complex = |re, im| Scalar::Complex(Complex::new(re, im));
    let table = [
        (Scalar::Bool(true), "True"),
        (Scalar::Int(-3), "-3"),
        (Scalar::UInt(u64::MAX), "18446744073709551615"),
        (Scalar::Float(1.0), "1.0"),
        (Scalar::Float(-0.0), "-0.0"),
        (Scalar::Float(0.1), "0.1"),
        (Scalar::Float(0.0001), "0.0001"),
        (Scalar::Float(0.00001), "1e-05"),
        (Scalar::Float(1.5e-300), "1.5e-300"),
        (Scalar::Float(1e15), "1000000000000000.0"),
        (Scalar::Float(1e16), "1e+16"),
        (Scalar::Float(-1.25e20), "-1.25e+20"),
        (Scalar::Float(f64::NAN), "nan"),
        (Scalar::Float(f64::NEG_INFINITY), "-inf"),
        (complex(1.0, 2.0), "(1+2j)"),
        (complex(1.5, -2.0), "(1.5-2j)"),
        (complex(0.0, 1.0), "1j"),
        (complex(-0.0, 1.0), "(-0+1j)"),
        (complex(f64::NAN, f64::INFINITY), "(nan+infj)"),
        (complex(1e16, 1e-7), "(1e+16+1e-07j)"),
    ];
    for (scalar, text) in table {
        assert_eq!(scalar.to_string(), text);
    }
}
