//! Data types between here and NumPy.

use std::ffi::{c_int, c_long};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

use ndbridge_dtype::{ByteOrder, DType, parse_type_string};
use ndbridge_interpreter::ArrayError;
use ndbridge_interpreter::once::Once;
use pyo3::prelude::*;

use super::api::NumpyApi;
use super::error::NdarrayError;

/// NumPy's type numbers (`NPY_TYPES`), by what they are on every platform, and of C `long`.
const LONG_IS_64: bool = size_of::<c_long>() == 8;

/// Numbers from here on are of data types that NumPy itself does not have (`NPY_USERDEF`).
const FIRST_ADDED: c_int = 256;

/// The data type of a NumPy number, if NumPy has it itself.
#[inline]
pub fn dtype_of_number(type_num: c_int) -> Option<DType> {
    Some(match type_num {
        0 => DType::Bool,
        1 => DType::I8,
        2 => DType::U8,
        3 => DType::I16,
        4 => DType::U16,
        5 => DType::I32,
        6 => DType::U32,
        7 if LONG_IS_64 => DType::I64,
        7 => DType::I32,
        8 if LONG_IS_64 => DType::U64,
        8 => DType::U32,
        9 => DType::I64,
        10 => DType::U64,
        11 => DType::F32,
        12 => DType::F64,
        14 => DType::C64,
        15 => DType::C128,
        23 => DType::F16,
        _ => return None,
    })
}

/// NumPy's type number of a data type; `None` for those that only ml_dtypes has.
pub fn number_of_dtype(dtype: DType) -> Option<c_int> {
    Some(match dtype {
        DType::Bool => 0,
        DType::I8 => 1,
        DType::U8 => 2,
        DType::I16 => 3,
        DType::U16 => 4,
        DType::I32 => 5,
        DType::U32 => 6,
        DType::I64 if LONG_IS_64 => 7,
        DType::I64 => 9,
        DType::U64 if LONG_IS_64 => 8,
        DType::U64 => 10,
        DType::F32 => 11,
        DType::F64 => 12,
        DType::C64 => 14,
        DType::C128 => 15,
        DType::F16 => 23,
        DType::BF16 | DType::F8E4M3 | DType::F8E5M2 => return None,
    })
}

/// Numbers that NumPy gave to data types of ml_dtypes, once such an array was seen.
static ADDED: [AtomicI32; 3] = [const { AtomicI32::new(-1) }; 3];
/// The data types of [`ADDED`].
const OF_ML_DTYPES: [DType; 3] = [DType::BF16, DType::F8E4M3, DType::F8E5M2];

fn dtype_of_added(type_num: c_int) -> Option<DType> {
    let position = ADDED.iter().position(|added| added.load(Relaxed) == type_num)?;
    Some(OF_ML_DTYPES[position])
}

/// Learns the number of a data type that NumPy does not have itself.
#[cold]
fn learn(type_num: c_int, descr: &Bound<'_, PyAny>) -> PyResult<DType> {
    let scalar = descr.getattr("type")?;
    let module: String = scalar.getattr("__module__")?.extract()?;
    let name: String = descr.str()?.extract()?;
    let known = OF_ML_DTYPES.iter().position(|dtype| dtype.name() == name);
    let item_bytes: usize = descr.getattr("itemsize")?.extract()?;
    let known = known.filter(|&known| OF_ML_DTYPES[known].item_bytes() == item_bytes);
    match known.filter(|_| module.split('.').next() == Some("ml_dtypes")) {
        Some(position) => {
            ADDED[position].store(type_num, Relaxed);
            Ok(OF_ML_DTYPES[position])
        }
        None => Err(refusal(descr)?.into()),
    }
}

/// Data type and byte order of an array whose descr has this number and order mark.
#[inline]
pub fn dtype_of_descr<'py>(
    type_num: c_int,
    byte_order: u8,
    descr: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<(DType, ByteOrder)> {
    let dtype = match dtype_of_number(type_num) {
        Some(dtype) => dtype,
        None if type_num < FIRST_ADDED => return Err(refusal(&descr()?)?.into()),
        None => match dtype_of_added(type_num) {
            Some(dtype) => dtype,
            None => learn(type_num, &descr()?)?,
        },
    };
    let order = match byte_order {
        b'<' => ByteOrder::Little,
        b'>' => ByteOrder::Big,
        _ => ByteOrder::NATIVE,
    };
    Ok((dtype, order))
}

/// Why an array of `descr` cannot be carried.
fn refusal(descr: &Bound<'_, PyAny>) -> PyResult<ArrayError> {
    let name: String = descr.str()?.extract()?;
    let has_fields = !descr.getattr("fields")?.is_none() || !descr.getattr("subdtype")?.is_none();
    if has_fields {
        return Ok(NdarrayError::Structured { descr: name }.into());
    }
    if descr.getattr("num")?.extract::<c_int>()? >= FIRST_ADDED {
        return Ok(NdarrayError::UnknownDType { descr: name }.into());
    }
    let type_string: String = descr.getattr("str")?.extract()?;
    match parse_type_string(&type_string) {
        Err(error) => Ok(error.into()),
        Ok(_) => Ok(NdarrayError::UnknownDType { descr: name }.into()),
    }
}

/// The NumPy data type of `dtype`: for bfloat16 and float8, that of the package ml_dtypes.
///
/// # Errors
/// `TypeError` for bfloat16 and float8 without ml_dtypes.
pub fn numpy_dtype<'py>(py: Python<'py>, dtype: DType) -> PyResult<Bound<'py, PyAny>> {
    static OF_ML: [Once<Py<PyAny>>; 3] = [const { Once::new() }; 3];
    if let Some(type_num) = number_of_dtype(dtype) {
        return NumpyApi::get(py)?.descr(py, type_num);
    }
    let position = OF_ML_DTYPES.iter().position(|&added| added == dtype).unwrap_or_default();
    let made = OF_ML[position].get_or_try_init(py, || {
        let module = py.import("ml_dtypes").map_err(|_| NdarrayError::NeedsMlDtypes { dtype })?;
        let scalar = module.getattr(dtype.name())?;
        Ok::<_, PyErr>(py.import("numpy")?.getattr("dtype")?.call1((scalar,))?.unbind())
    })?;
    Ok(made.bind(py).clone())
}

/// The data type that NumPy takes `object` for: a NumPy dtype, a scalar type, a Python type.
///
/// # Errors
/// `TypeError` if it names none that can be carried, or one in the other byte order.
pub fn dtype_of_numpy(object: &Bound<'_, PyAny>) -> PyResult<DType> {
    let descr = object.py().import("numpy")?.getattr("dtype")?.call1((object,))?;
    let type_num: c_int = descr.getattr("num")?.extract()?;
    let mark: String = descr.getattr("byteorder")?.extract()?;
    let order_mark = mark.as_bytes().first().copied().unwrap_or(b'=');
    if let Ok(dtype) = descr.str()?.to_str()?.parse::<DType>() {
        return Ok(dtype);
    }
    match dtype_of_descr(type_num, order_mark, || Ok(descr.clone()))? {
        (dtype, ByteOrder::NATIVE) => Ok(dtype),
        (dtype, order) => Err(NdarrayError::ForeignOrder { dtype, order }.into()),
    }
}
