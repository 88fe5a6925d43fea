//! DTY-3: values convert as NumPy's `astype`, cell by cell; where C leaves the result undefined, by
//! our own rule: toward zero, saturated, NaN to 0.

#![expect(clippy::unwrap_used, reason = "clippy knows only the test functions as tests")]

use ndbridge_dtype::{Complex, DType, Element, Kind, Scalar, convert, match_dtype};

/// Cells in which `ml_dtypes` rounds twice, first to float32, and we once.
/// Source, value, target, and what is nearest: in float32 each of these values becomes a tie.
const ROUNDED_ONCE: &[(&str, &str, &str, &str)] = &[
    ("int32", "1077936129", "bfloat16", "1082130432.0"),
    ("int64", "1077936129", "bfloat16", "1082130432.0"),
    ("uint32", "1077936129", "bfloat16", "1082130432.0"),
    ("uint64", "1077936129", "bfloat16", "1082130432.0"),
    ("float64", "1.0039062500009095", "bfloat16", "1.0078125"),
];

#[test]
fn dty_3_casts_equal_numpy() {
    check(include_str!("tables/cast_numpy.csv"), 445);
}

#[test]
fn dty_3_casts_of_float8_equal_ml_dtypes() {
    check(include_str!("tables/cast_ml_dtypes.csv"), 512);
}

fn check(text: &str, rows: usize) {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let targets: Vec<&str> = lines.next().unwrap().split(',').skip(2).collect();
    let mut checked = 0;
    let mut wrong = Vec::new();
    // The whole table takes Miri minutes; every 47th row is enough for every source.
    let step = if cfg!(miri) { 47 } else { 1 };
    for line in lines.step_by(step) {
        let cells: Vec<&str> = line.split(',').collect();
        let (source, value) = (cells[0], cells[1]);
        for (target, cell) in targets.iter().zip(&cells[2..]) {
            let found = cast(source, value, target);
            let expected = expected(source, value, target, cell);
            if !is_same(found, expected) {
                wrong.push(format!("{source} {value} to {target}: {found:?}, not {expected:?}"));
            }
            checked += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {checked} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(checked, rows.div_ceil(step) * 17);
}

fn dtype(name: &str) -> DType {
    DType::from_name(name).unwrap_or_else(|| panic!("no dtype {name}"))
}

fn cast(source: &str, value: &str, target: &str) -> Scalar {
    match_dtype!(dtype(source), S => {
        let value: S = parse(value, S::DTYPE).to_element();
        match_dtype!(dtype(target), D => Scalar::from_element(convert::<S, D>(value)))
    })
}

fn expected(source: &str, value: &str, target: &str, cell: &str) -> Scalar {
    let exception =
        ROUNDED_ONCE.iter().find(|row| (row.0, row.1, row.2) == (source, value, target));
    // `~`: NumPy warned.
    let cell = exception.map_or(cell, |row| row.3).trim_end_matches('~');
    if cell.ends_with('!') {
        return saturated(parse(value, dtype(source)), dtype(target));
    }
    assert!(!cell.contains('|'), "an undefined cell that is not marked: {cell}");
    parse(cell, dtype(target))
}

/// Our rule, in the plainest words: the whole part, and the bound it exceeds if it exceeds one.
fn saturated(value: Scalar, target: DType) -> Scalar {
    let value = match value {
        Scalar::Float(value) => value,
        Scalar::Complex(value) => value.re,
        other => panic!("{other} converts to {target} without a rule of ours"),
    };
    let bits = 8 * target.item_bytes() as u32;
    let (low, high) = match target.kind() {
        Kind::Int => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
        Kind::UInt => (0, (1i128 << bits) - 1),
        other => panic!("{target} is {other:?}, expected an integer"),
    };
    let result = match value {
        _ if value.is_nan() => 0,
        _ if value <= low as f64 => low,
        _ if value >= high as f64 => high,
        _ => value.trunc() as i128,
    };
    match target.kind() {
        Kind::Int => Scalar::Int(result.try_into().unwrap()),
        _ => Scalar::UInt(result.try_into().unwrap()),
    }
}

/// Reads what the tables write: `T`, `-3`, `1e+20`, `-nan`, `(1.0;-inf)`.
fn parse(text: &str, dtype: DType) -> Scalar {
    match dtype.kind() {
        Kind::Bool => Scalar::Bool(text == "T"),
        Kind::Int => Scalar::Int(text.parse().unwrap()),
        Kind::UInt => Scalar::UInt(text.parse().unwrap()),
        Kind::Float => Scalar::Float(text.parse().unwrap()),
        Kind::Complex => {
            let parts = text.trim_matches(['(', ')']).split_once(';').unwrap();
            Scalar::Complex(Complex::new(parts.0.parse().unwrap(), parts.1.parse().unwrap()))
        }
    }
}

/// Equal in value and in the sign of zero and of NaN.
fn is_same(left: Scalar, right: Scalar) -> bool {
    let same = |left: f64, right: f64| {
        left.is_sign_negative() == right.is_sign_negative()
            && (left == right || left.is_nan() && right.is_nan())
    };
    match (left, right) {
        (Scalar::Float(left), Scalar::Float(right)) => same(left, right),
        (Scalar::Complex(left), Scalar::Complex(right)) => {
            same(left.re, right.re) && same(left.im, right.im)
        }
        _ => left == right,
    }
}
