//! Data types between NumPy and here.

use ndbridge_dtype::{ByteOrder, DType};
use ndbridge_interpreter::join_ledger;
use ndbridge_numpy::python::{array::describe_again, dtype_of_numpy, numpy_dtype, to_numpy};
use ndbridge_tensor::Tensor;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::alone::alone;
use crate::{eval, run, said, with_numpy};

/// NumPy's name for a data type, in an expression.
fn numpy_name(dtype: DType) -> String {
    match dtype {
        DType::BF16 | DType::F8E4M3 | DType::F8E5M2 => format!("ml_dtypes.{dtype}"),
        _ => format!("'{dtype}'"),
    }
}

#[test]
fn dty_1_every_dtype_goes_to_numpy_and_comes_back() {
    with_numpy("", |py, names| {
        for dtype in DType::ALL {
            let expected = eval(names, &format!("np.dtype({})", numpy_name(dtype)));
            let descr = numpy_dtype(py, dtype).unwrap();
            assert!(descr.eq(&expected).unwrap(), "{dtype}: {descr}");
            for named in [&descr, &descr.getattr("type").unwrap(), &descr.getattr("name").unwrap()]
            {
                assert_eq!(dtype_of_numpy(named).unwrap(), dtype, "{named}");
            }
            let found =
                describe_again(&eval(names, &format!("np.zeros(3, {})", numpy_name(dtype))));
            let found = found.unwrap();
            assert_eq!((found.dtype, found.byte_order), (dtype, ByteOrder::NATIVE));
        }
    });
}

#[test]
fn dty_1_every_array_that_goes_out_has_its_dtype_and_bytes() {
    with_numpy("", |py, names| {
        for dtype in DType::ALL {
            let bytes: Vec<u8> = (0..3 * dtype.item_bytes() as u8).map(|byte| byte % 2).collect();
            let tensor = Tensor::from_vec(bytes.clone()).reinterpret(dtype).unwrap();
            let array = to_numpy(py, &tensor).unwrap();
            names.set_item("array", &array).unwrap();
            names.set_item("expected", PyBytes::new(py, &bytes)).unwrap();
            let descr = format!("np.dtype({})", numpy_name(dtype));
            run(names, &format!("assert array.dtype == {descr} and array.shape == (3,), array"));
            run(names, "assert array.tobytes() == expected, array");
        }
    });
}

/// C's names, of which two can mean one data type, and Python's types.
#[test]
fn dty_1_c_and_python_types_are_what_they_are_to_numpy() {
    with_numpy("", |_, names| {
        for name in [
            "bool",
            "int",
            "float",
            "complex",
            "np.longlong",
            "np.ulonglong",
            "np.long",
            "np.ulong",
            "np.intc",
            "np.uintc",
            "np.byte",
            "np.ubyte",
            "np.short",
            "np.ushort",
            "np.half",
            "np.intp",
            "np.uintp",
            "np.single",
            "np.double",
            "np.csingle",
            "np.cdouble",
            "'=f4'",
            "'l'",
            "'q'",
            "'?'",
            "None",
        ] {
            let expected = eval(names, &format!("np.dtype({name}).name")).to_string();
            let dtype = dtype_of_numpy(&eval(names, name)).unwrap();
            assert_eq!(dtype.name(), expected, "{name}");
            let array = describe_again(&eval(names, &format!("np.zeros(1, {name})"))).unwrap();
            assert_eq!(array.dtype, dtype, "{name}");
        }
    });
}

#[test]
fn shr_5_byte_order_is_told_and_never_changed() {
    with_numpy("", |py, names| {
        for (mark, order) in [("<", ByteOrder::Little), (">", ByteOrder::Big)] {
            for dtype in DType::ALL {
                let Some(text) = dtype.type_string(ByteOrder::NATIVE) else { continue };
                let text = format!("{mark}{}", &text[1..]);
                let found =
                    describe_again(&eval(names, &format!("np.zeros(3, '{text}')"))).unwrap();
                let order = if dtype.item_bytes() == 1 { ByteOrder::NATIVE } else { order };
                assert_eq!((found.dtype, found.byte_order), (dtype, order), "{text}");
            }
        }
        let error = dtype_of_numpy(&eval(names, "np.dtype('f4').newbyteorder('S')")).unwrap_err();
        let (class, text) = said(py, &error);
        assert_eq!(class, "TypeError");
        assert!(text.contains("name it without a byte order") || text.contains("astype"), "{text}");
    });
}

#[test]
fn dty_4_what_cannot_be_carried_is_refused_by_name() {
    let cases = [
        ("np.zeros(2, object)", "object"),
        ("np.array(['ab'])", "<U2"),
        ("np.array([b'ab'])", "S2"),
        ("np.zeros(2, np.dtypes.StringDType())", "StringDType"),
        ("np.zeros(2, 'M8[ns]')", "<M8[ns]"),
        ("np.zeros(2, 'm8[s]')", "<m8[s]"),
        ("np.zeros(2, 'V4')", "V4"),
        ("np.zeros(2, 'f4,i4')", "take one field, as in array['name']"),
        ("np.zeros(2, np.longdouble)", "long double"),
        ("np.zeros(2, np.clongdouble)", "long double"),
        ("np.zeros(2, ml_dtypes.int4)", "dtype int4 cannot be carried"),
        ("np.zeros(2, ml_dtypes.float8_e4m3b11fnuz)", "float8_e4m3b11fnuz"),
        ("np.ma.masked_array([1.0, 2.0], [True, False])", "pass x.filled(value)"),
    ];
    with_numpy("", |py, names| {
        join_ledger(py).unwrap();
        for (code, expected) in cases {
            let (class, text) = said(py, &describe_again(&eval(names, code)).unwrap_err());
            assert_eq!(class, "TypeError", "{code}");
            assert!(text.contains(expected), "{code}: {text}");
        }
        // With the views that would work.
        for code in [
            "np.zeros(2, 'M8[ns]').view('i8')",
            "np.zeros(2, 'f4,i4')['f0']",
            "np.ma.masked_array([1.0], [True]).filled(0)",
            "np.ma.masked_array([1.0], [True]).data",
            "np.ma.masked_array([1.0], [True]).mask",
        ] {
            describe_again(&eval(names, code)).unwrap_or_else(|error| panic!("{code}: {error}"));
        }
        let (class, text) = said(py, &describe_again(&eval(names, "[1, 2]")).unwrap_err());
        assert_eq!(class, "TypeError");
        assert!(text.contains("expected a numpy.ndarray, got list"), "{text}");
    });
}

#[test]
fn dty_4_names_of_what_cannot_be_carried_are_refused() {
    with_numpy("", |py, names| {
        for (code, expected) in [
            ("object", "object"),
            ("'U3'", "<U3"),
            ("'M8[ns]'", "M8[ns]"),
            ("np.longdouble", "long double"),
            ("'f4,i4'", "structured"),
            ("('f4', (2,))", "structured"),
            ("ml_dtypes.int4", "int4"),
        ] {
            let (class, text) = said(py, &dtype_of_numpy(&eval(names, code)).unwrap_err());
            assert_eq!(class, "TypeError", "{code}");
            assert!(text.contains(expected), "{code}: {text}");
        }
    });
}

#[test]
fn dty_5_without_ml_dtypes_its_dtypes_are_refused_with_the_hint() {
    alone("dtypes::dty_5_without_ml_dtypes_its_dtypes_are_refused_with_the_hint", || {
        with_numpy("import sys\nsys.modules['ml_dtypes'] = None", |py, names| {
            let made = |dtype| numpy_dtype(py, dtype);
            for (dtype, view) in
                [(DType::BF16, "uint16"), (DType::F8E4M3, "uint8"), (DType::F8E5M2, "uint8")]
            {
                let tensor = Tensor::zeros(&[2], dtype).unwrap();
                for error in [made(dtype).unwrap_err(), to_numpy(py, &tensor).unwrap_err()] {
                    let (class, text) = said(py, &error);
                    assert_eq!(class, "TypeError");
                    assert!(text.contains("pip install ml_dtypes"), "{text}");
                    assert!(text.contains(&format!("view the bytes as {view}")), "{text}");
                }
                let viewed = tensor.reinterpret(view.parse().unwrap()).unwrap();
                to_numpy(py, &viewed).unwrap();
            }
            run(names, "sys.modules['ml_dtypes'] = ml_dtypes");
            assert!(made(DType::BF16).is_ok(), "found once it is there");
        });
    });
}
