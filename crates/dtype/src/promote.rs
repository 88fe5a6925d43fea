//! The common data type of two others, as NumPy and as torch see it.

use crate::{Casting, DType, DTypeError, Kind, can_cast};

/// The data type to which both can be cast safely, as NumPy's `promote_types` with `ml_dtypes`.
///
/// # Errors
/// [`DTypeError::NoPromotion`] for bfloat16 or float8 with some others.
///
/// ```
/// use ndbridge_dtype::{DType, promote_types};
///
/// assert_eq!(promote_types(DType::I64, DType::F32)?, DType::F64);
/// assert!(promote_types(DType::BF16, DType::F16).is_err());
/// # Ok::<(), ndbridge_dtype::DTypeError>(())
/// ```
pub fn promote_types(left: DType, right: DType) -> Result<DType, DTypeError> {
    let reaches = |from, to| can_cast(from, to, Casting::Safe);
    if reaches(left, right) {
        return Ok(right);
    }
    if reaches(right, left) {
        return Ok(left);
    }
    // ml_dtypes registers these two with no third type to meet in, float8_e5m2 it does.
    let alone = |dtype| matches!(dtype, DType::BF16 | DType::F8E4M3);
    let third = MEETING_POINTS.into_iter().find(|&to| reaches(left, to) && reaches(right, to));
    third.filter(|_| !alone(left) && !alone(right)).ok_or(DTypeError::NoPromotion { left, right })
}

/// Types that two others, neither of which holds the other, can meet in; the smallest first.
const MEETING_POINTS: [DType; 7] =
    [DType::I16, DType::I32, DType::I64, DType::F32, DType::F64, DType::C64, DType::C128];

/// The common data type of two tensors in torch (`torch.promote_types`).
///
/// Between kinds the wider kind wins and keeps its size: int64 with float16 is float16.
///
/// # Errors
/// [`DTypeError::NoTorchPromotion`] for uint16, uint32, uint64 with other integers, bool or complex,
/// and for float8 with anything else.
///
/// ```
/// use ndbridge_dtype::{DType, promote_types_torch};
///
/// assert_eq!(promote_types_torch(DType::I64, DType::F16)?, DType::F16);
/// assert_eq!(promote_types_torch(DType::BF16, DType::F16)?, DType::F32);
/// # Ok::<(), ndbridge_dtype::DTypeError>(())
/// ```
pub fn promote_types_torch(left: DType, right: DType) -> Result<DType, DTypeError> {
    let (narrow, wide) = if rank(left) <= rank(right) { (left, right) } else { (right, left) };
    if narrow == wide {
        return Ok(wide);
    }
    torch_common(narrow, wide).ok_or(DTypeError::NoTorchPromotion { left, right })
}

/// Order in which a later type is never the one to give way.
pub(crate) fn rank(dtype: DType) -> (Kind, usize, DType) {
    // uint8 yields to int8, which it meets in int16.
    (dtype.kind(), dtype.item_bytes(), dtype)
}

fn torch_common(narrow: DType, wide: DType) -> Option<DType> {
    let float8 = |dtype| matches!(dtype, DType::F8E4M3 | DType::F8E5M2);
    let barely_supported = |dtype| matches!(dtype, DType::U16 | DType::U32 | DType::U64);
    if float8(narrow) || float8(wide) {
        return None;
    }
    if barely_supported(narrow) || barely_supported(wide) {
        return (wide.kind() == Kind::Float).then_some(wide);
    }
    Some(match (narrow, wide) {
        (DType::U8, DType::I8) => DType::I16,
        (DType::F16, DType::BF16) => DType::F32,
        (DType::F64, DType::C64) => DType::C128,
        _ => wide,
    })
}
