//! DTY-2: casting and promotion equal NumPy's tables; torch's promotion stands beside it.

// Tables are compared with tables: nothing that Miri could find, and it takes minutes.
#![cfg(not(miri))]
#![expect(clippy::unwrap_used, reason = "clippy knows only the test functions as tests")]

use ndbridge_dtype::{
    Casting, DType, DTypeError, Operand, can_cast, promote_types, promote_types_torch, result_type,
};

/// Lines of a table without comment and header, and the header's cells.
fn table(text: &str) -> (Vec<&str>, impl Iterator<Item = Vec<&str>>) {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let header = lines.next().unwrap().split(',').collect();
    (header, lines.map(|line| line.split(',').collect()))
}

fn dtype(name: &str) -> DType {
    DType::from_name(name).unwrap_or_else(|| panic!("no dtype {name}"))
}

#[test]
fn dty_2_can_cast_equals_numpy() {
    assert_eq!(check_can_cast(include_str!("tables/can_cast_numpy.csv")), 14 * 14 * 5);
}

#[test]
fn dty_2_can_cast_equals_ml_dtypes() {
    assert_eq!(check_can_cast(include_str!("tables/can_cast_ml_dtypes.csv")), 17 * 17 * 5);
}

fn check_can_cast(text: &str) -> usize {
    let (header, rows) = table(text);
    let mut checked = 0;
    for row in rows {
        let (from, to) = (dtype(row[0]), dtype(row[1]));
        for (level, cell) in header[2..].iter().zip(&row[2..]) {
            let casting: Casting = level.parse().unwrap();
            assert_eq!(can_cast(from, to, casting), *cell == "1", "{from} to {to}, {casting}");
            checked += 1;
        }
    }
    checked
}

#[test]
fn dty_2_each_casting_level_allows_what_the_stricter_allow() {
    for (from, to) in pairs() {
        for levels in Casting::ALL.windows(2) {
            let (strict, lax) = (can_cast(from, to, levels[0]), can_cast(from, to, levels[1]));
            assert!(!strict || lax, "{from} to {to}: {} but not {}", levels[0], levels[1]);
        }
    }
}

fn pairs() -> impl Iterator<Item = (DType, DType)> {
    DType::ALL.into_iter().flat_map(|left| DType::ALL.into_iter().map(move |right| (left, right)))
}

type Promote = fn(DType, DType) -> Result<DType, DTypeError>;

#[test]
fn dty_2_promotion_equals_numpy() {
    let text = include_str!("tables/promote_numpy.csv");
    assert_eq!(check_promotion(text, promote_types), 14 * 14);
}

#[test]
fn dty_2_promotion_equals_ml_dtypes() {
    let text = include_str!("tables/promote_ml_dtypes.csv");
    assert_eq!(check_promotion(text, promote_types), 17 * 17);
}

#[test]
fn dty_2_promotion_equals_torch() {
    let text = include_str!("tables/promote_torch.csv");
    assert_eq!(check_promotion(text, promote_types_torch), 17 * 17);
}

fn check_promotion(text: &str, promote: Promote) -> usize {
    let (header, rows) = table(text);
    let mut checked = 0;
    for row in rows {
        // torch's half-precision complex is no dtype here.
        for (column, cell) in header[1..].iter().zip(&row[1..]) {
            let (Some(left), Some(right)) = (DType::from_name(row[0]), DType::from_name(column))
            else {
                continue;
            };
            let expected = DType::from_name(cell);
            assert!(expected.is_some() || matches!(*cell, "error" | "RuntimeError"), "{cell}");
            assert_eq!(promote(left, right).ok(), expected, "{left} with {right}");
            checked += 1;
        }
    }
    checked
}

#[test]
fn dty_2_promotion_is_commutative_and_idempotent() {
    for promote in [promote_types as Promote, promote_types_torch] {
        for (left, right) in pairs() {
            assert_eq!(promote(left, right).ok(), promote(right, left).ok(), "{left}, {right}");
        }
        for dtype in DType::ALL {
            assert_eq!(promote(dtype, dtype), Ok(dtype));
        }
    }
}

#[test]
fn dty_2_promotion_errors_name_both() {
    let error = promote_types(DType::BF16, DType::F16).unwrap_err();
    assert_eq!(error, DTypeError::NoPromotion { left: DType::BF16, right: DType::F16 });
    let error = promote_types_torch(DType::U16, DType::Bool).unwrap_err();
    assert!(error.to_string().contains("uint16 and bool have no common dtype in torch"), "{error}");
}

#[test]
fn dty_2_result_type_equals_numpy() {
    let (_, rows) = table(include_str!("tables/result_type_ml_dtypes.csv"));
    let mut checked = 0;
    for row in rows {
        let operands: Vec<Operand> = row[0].split(';').map(operand).collect();
        let found = match result_type(&operands) {
            Ok(dtype) => dtype.name(),
            Err(DTypeError::IntegerTooLarge { .. }) => "object",
            Err(_) => "error",
        };
        // Where NumPy's answer depends on the order of the operands, one of its answers.
        let is_answer = row[1].split('|').any(|answer| answer == found);
        assert!(is_answer || is_refused_by_accident(&row), "{row:?}, found {found}");
        checked += 1;
    }
    assert!(checked > 2500, "{checked}");
}

/// NumPy refuses two Python numbers, or a Python and a NumPy number, together with bfloat16 or
/// float8, although it takes each alone: no operand there knows all the others. We answer.
fn is_refused_by_accident(row: &[&str]) -> bool {
    let operands: Vec<&str> = row[0].split(';').collect();
    let from_ml_dtypes = |name: &&str| name.starts_with("bfloat16") || name.starts_with("float8");
    row[1] == "error"
        && operands.len() > 2
        && operands.iter().any(from_ml_dtypes)
        && operands.iter().any(|name| name.starts_with("py:"))
}

fn operand(text: &str) -> Operand {
    match text.strip_prefix("py:") {
        None => Operand::Typed(dtype(text)),
        Some("True") => Operand::WeakBool,
        Some("1.0") => Operand::WeakFloat,
        Some("1j") => Operand::WeakComplex,
        Some(integer) => Operand::WeakInt(integer.parse().unwrap()),
    }
}

#[test]
fn dty_2_result_type_ignores_order() {
    let (_, rows) = table(include_str!("tables/result_type_ml_dtypes.csv"));
    for row in rows {
        let mut operands: Vec<Operand> = row[0].split(';').map(operand).collect();
        let expected = result_type(&operands).ok();
        for _ in 0..operands.len() {
            operands.rotate_left(1);
            assert_eq!(result_type(&operands).ok(), expected, "{operands:?}");
        }
    }
}

#[test]
fn dty_2_result_type_of_nothing_is_an_error() {
    assert_eq!(result_type(&[]), Err(DTypeError::NothingToPromote));
}
