//! From a data type known at run time to code compiled for its element type.

/// Evaluates an expression in which a name stands for the element type of a
/// [`DType`](crate::DType).
///
/// The expression is compiled once for each of the 17 types and all must give the same type. It may
/// use `?` and `return`.
///
/// ```
/// use ndbridge_dtype::{DType, Element, match_dtype};
///
/// fn largest_alignment(dtypes: &[DType]) -> usize {
///     dtypes.iter().map(|&dtype| match_dtype!(dtype, T => align_of::<T>())).max().unwrap_or(1)
/// }
/// assert_eq!(largest_alignment(&[DType::F8E5M2, DType::C64]), 4);
/// ```
#[macro_export]
macro_rules! match_dtype {
    ($dtype:expr, $T:ident => $body:expr $(,)?) => {
        match $dtype {
            $crate::DType::Bool => $crate::match_dtype!(@with $T, bool, $body),
            $crate::DType::I8 => $crate::match_dtype!(@with $T, i8, $body),
            $crate::DType::I16 => $crate::match_dtype!(@with $T, i16, $body),
            $crate::DType::I32 => $crate::match_dtype!(@with $T, i32, $body),
            $crate::DType::I64 => $crate::match_dtype!(@with $T, i64, $body),
            $crate::DType::U8 => $crate::match_dtype!(@with $T, u8, $body),
            $crate::DType::U16 => $crate::match_dtype!(@with $T, u16, $body),
            $crate::DType::U32 => $crate::match_dtype!(@with $T, u32, $body),
            $crate::DType::U64 => $crate::match_dtype!(@with $T, u64, $body),
            $crate::DType::F16 => $crate::match_dtype!(@with $T, $crate::f16, $body),
            $crate::DType::BF16 => $crate::match_dtype!(@with $T, $crate::bf16, $body),
            $crate::DType::F32 => $crate::match_dtype!(@with $T, f32, $body),
            $crate::DType::F64 => $crate::match_dtype!(@with $T, f64, $body),
            $crate::DType::C64 => $crate::match_dtype!(@with $T, $crate::Complex<f32>, $body),
            $crate::DType::C128 => $crate::match_dtype!(@with $T, $crate::Complex<f64>, $body),
            $crate::DType::F8E4M3 => $crate::match_dtype!(@with $T, $crate::F8E4M3, $body),
            $crate::DType::F8E5M2 => $crate::match_dtype!(@with $T, $crate::F8E5M2, $body),
        }
    };
    (@with $T:ident, $Element:ty, $body:expr) => {{
        type $T = $Element;
        $body
    }};
}
