//! The data type of a result of arrays and Python numbers (NEP 50).

use alloc::vec::Vec;

use crate::promote::rank;
use crate::{DType, DTypeError, Kind, promote_types};

/// What takes part in an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// An array, or a NumPy scalar.
    Typed(DType),
    /// A Python `bool`; NumPy treats it as an array of bool.
    WeakBool,
    /// A Python `int` and its value (saturated if it needs more bits), which counts only for an
    /// operand that is alone.
    WeakInt(i128),
    /// A Python `float`.
    WeakFloat,
    /// A Python `complex`.
    WeakComplex,
}

/// The data type NumPy gives the result of an operation on all operands (`numpy.result_type`).
///
/// The order of the operands makes no difference. In NumPy it can where bfloat16 or float8 meet two
/// others, and some mixtures of them with Python numbers are an error there for lack of an operand
/// that knows all others; here they get NumPy's answer for the parts.
///
/// A Python number takes the dtype of the arrays unless its kind is wider. Whether its value fits
/// is another question: [`Scalar::fits`](crate::Scalar::fits).
///
/// # Errors
/// [`DTypeError::NoPromotion`] if any two have no common dtype, as [`promote_types`];
/// [`DTypeError::IntegerTooLarge`] for one Python integer alone, beyond uint64;
/// [`DTypeError::NothingToPromote`] for no operands.
///
/// ```
/// use ndbridge_dtype::{DType, Operand, result_type};
///
/// let uint8 = Operand::Typed(DType::U8);
/// assert_eq!(result_type(&[uint8, Operand::WeakInt(1000)])?, DType::U8);
/// assert_eq!(result_type(&[uint8, Operand::WeakFloat])?, DType::F64);
/// # Ok::<(), ndbridge_dtype::DTypeError>(())
/// ```
pub fn result_type(operands: &[Operand]) -> Result<DType, DTypeError> {
    let dtypes: Vec<DType> = operands.iter().filter_map(|&operand| typed(operand)).collect();
    let weak = operands.iter().filter_map(|&operand| weak_kind(operand)).max();
    match (weak, dtypes.is_empty()) {
        (None, true) => Err(DTypeError::NothingToPromote),
        (None, false) => common_of_all(dtypes),
        (Some(kind), true) => of_python_numbers(operands, kind),
        (Some(kind), false) => common_with_python(dtypes, kind),
    }
}

fn weak_kind(operand: Operand) -> Option<Kind> {
    match operand {
        Operand::Typed(_) | Operand::WeakBool => None,
        Operand::WeakInt(_) => Some(Kind::Int),
        Operand::WeakFloat => Some(Kind::Float),
        Operand::WeakComplex => Some(Kind::Complex),
    }
}

/// The common data type of at least one other, whatever their order.
fn common_of_all(mut dtypes: Vec<DType>) -> Result<DType, DTypeError> {
    // Promotion is not associative. From the widest kind down it is as NumPy wants it:
    // int16 and uint16 both fit float32, though together they make int32, which does not.
    dtypes.sort_unstable_by_key(|&dtype| core::cmp::Reverse(rank(dtype)));
    dtypes.dedup();
    // NumPy lets bfloat16 and float8 judge every other operand.
    for (index, &left) in dtypes.iter().enumerate() {
        for &right in &dtypes[index + 1..] {
            promote_types(left, right)?;
        }
    }
    dtypes.iter().skip(1).try_fold(dtypes[0], |common, &next| promote_types(common, next))
}

/// The common data type of at least one other and Python numbers up to `kind`.
fn common_with_python(mut dtypes: Vec<DType>, kind: Kind) -> Result<DType, DTypeError> {
    // Of bfloat16, an integer and a Python float, only the last knows both others, and NumPy has
    // it judge each: bfloat16 and int16, which have nothing in common, become float64.
    let integers_or_ml = |&dtype: &DType| dtype.kind() < Kind::Float || is_from_ml_dtypes(dtype);
    let number_judges = kind >= Kind::Float
        && dtypes.iter().any(|&dtype| is_from_ml_dtypes(dtype))
        && dtypes.iter().all(integers_or_ml);
    if !number_judges {
        return with_python_number(common_of_all(dtypes)?, kind);
    }
    for dtype in &mut dtypes {
        *dtype = with_python_number(*dtype, kind)?;
    }
    common_of_all(dtypes)
}

fn is_from_ml_dtypes(dtype: DType) -> bool {
    matches!(dtype, DType::BF16 | DType::F8E4M3 | DType::F8E5M2)
}

fn typed(operand: Operand) -> Option<DType> {
    match operand {
        Operand::Typed(dtype) => Some(dtype),
        Operand::WeakBool => Some(DType::Bool),
        Operand::WeakInt(_) | Operand::WeakFloat | Operand::WeakComplex => None,
    }
}

/// The common data type of another and Python numbers up to `kind`.
fn with_python_number(dtype: DType, kind: Kind) -> Result<DType, DTypeError> {
    match (kind, dtype.kind()) {
        // NumPy knows nothing of these types and tries numbers of its own, the smallest first.
        (Kind::Float, _) if is_from_ml_dtypes(dtype) => {
            promote_types(DType::F16, dtype).or_else(|_| promote_types(DType::F64, dtype))
        }
        (Kind::Float, Kind::Bool | Kind::UInt | Kind::Int) => Ok(DType::F64),
        (Kind::Complex, Kind::Bool | Kind::UInt | Kind::Int) => Ok(DType::C128),
        (Kind::Complex, Kind::Float) => promote_types(DType::C64, dtype),
        (Kind::Int, Kind::Bool) => Ok(DType::I64),
        _ => Ok(dtype),
    }
}

/// The data type NumPy gives Python numbers among themselves.
fn of_python_numbers(operands: &[Operand], kind: Kind) -> Result<DType, DTypeError> {
    match kind {
        Kind::Float => Ok(DType::F64),
        Kind::Complex => Ok(DType::C128),
        _ => integer_type(operands),
    }
}

/// int64. NumPy looks at the value only of a number that is alone.
fn integer_type(operands: &[Operand]) -> Result<DType, DTypeError> {
    let &[Operand::WeakInt(value)] = operands else { return Ok(DType::I64) };
    match (i64::try_from(value), u64::try_from(value)) {
        (Ok(_), _) => Ok(DType::I64),
        (Err(_), Ok(_)) => Ok(DType::U64),
        (Err(_), Err(_)) => Err(DTypeError::IntegerTooLarge { value }),
    }
}
