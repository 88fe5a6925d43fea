//! Arguments that are copied where they cannot be shared.

use ndbridge_python::{Aligned, Any, AnyShape, ArgCow, COrder, Const, FOrder};
use ndbridge_tensor::copies;
use pyo3::prelude::*;

use crate::{copy, eval, refused, run, with_numpy, write};

type Case = (&'static str, fn(&Bound<'_, PyAny>) -> String, &'static str);

/// What came of an argument, once its elements were compared with NumPy's and its copies counted.
fn taken<S: ndbridge_python::Axes, C: ndbridge_python::Constraint>(x: &Bound<'_, PyAny>) -> String {
    let before = copies().bytes;
    let arg: ArgCow<'_, f64, S, C> = x.extract().unwrap();
    let numpy = x.py().import("numpy").unwrap();
    let source = x.getattr("array").unwrap_or_else(|_| x.clone());
    let expected = numpy.call_method1("asarray", (source, "f8")).unwrap();
    let values: Vec<f64> = expected.call_method0("flatten").unwrap().extract().unwrap();
    let shape: Vec<usize> = expected.getattr("shape").unwrap().extract().unwrap();
    assert_eq!((arg.shape(), arg.iter().copied().collect::<Vec<_>>()), (&shape[..], values));
    let bytes = copies().bytes - before;
    assert_eq!(bytes > 0, !arg.receipt().is_shared());
    arg.receipt().to_string()
}

const CASES: [Case; 16] = [
    ("f", taken::<AnyShape, ()>, "ArgCow: shared, 0 B copied"),
    ("f.T", taken::<AnyShape, ()>, "ArgCow: shared, 0 B copied"),
    ("f[::-1]", taken::<(Any, Const<3>), ()>, "ArgCow: shared, 0 B copied"),
    ("locked(f)", taken::<AnyShape, COrder>, "ArgCow: shared, 0 B copied"),
    ("Dlpack(f)", taken::<AnyShape, ()>, "ArgCow: shared, 0 B copied"),
    ("memoryview(f)", taken::<AnyShape, ()>, "ArgCow: shared, 0 B copied"),
    ("f.astype('f4')", taken::<AnyShape, ()>, "ArgCow: copied 48 B (dtype)"),
    ("f.astype('i2')", taken::<AnyShape, ()>, "ArgCow: copied 48 B (dtype)"),
    ("f > 2", taken::<AnyShape, ()>, "ArgCow: copied 48 B (dtype)"),
    ("f.astype('>f8')", taken::<AnyShape, ()>, "ArgCow: copied 48 B (byte order)"),
    ("f.T", taken::<AnyShape, COrder>, "ArgCow: copied 48 B (order)"),
    ("f", taken::<AnyShape, FOrder>, "ArgCow: copied 48 B (order)"),
    ("aligned(6, offset=8)", taken::<AnyShape, Aligned<64>>, "ArgCow: copied 48 B (requested)"),
    (
        "np.frombuffer(bytearray(49), 'f8', 6, 1)",
        taken::<AnyShape, ()>,
        "ArgCow: copied 48 B (alignment)",
    ),
    (
        "[[1, 2, 3], [4, 5, 6]]",
        taken::<(Any, Any), ()>,
        "ArgCow: copied 48 B (dtype, not an array)",
    ),
    ("2.5", taken::<(), ()>, "ArgCow: copied 8 B (not an array)"),
];

#[test]
fn shr_3_it_is_shared_where_it_can_be_and_copied_else_and_says_so() {
    with_numpy("f = np.arange(6.0).reshape(2, 3)", |_, names| {
        for (code, take, expected) in CASES {
            assert_eq!(take(&eval(names, code)), expected, "{code}");
        }
    });
}

#[test]
fn shr_5_a_cast_that_loses_the_kind_is_refused() {
    with_numpy("", |py, names| {
        for (take, code) in [
            (copy::<i32, AnyShape, ()> as fn(&Bound<'_, PyAny>) -> PyResult<()>, "np.zeros(3)"),
            (copy::<f64, AnyShape, ()>, "np.zeros(3, 'c16')"),
            (copy::<bool, AnyShape, ()>, "np.zeros(3, 'u1')"),
            (copy::<i32, AnyShape, ()>, "[1.5]"),
        ] {
            let (class, text) = refused(py, take(&eval(names, code)), code);
            assert_eq!(class, "ArgumentTypeError", "{code}");
            assert!(text.contains("same_kind"), "{code}: {text}");
        }
        // A shape is not cured by a copy.
        let (class, text) = refused(py, copy::<f64, (Any,), ()>(&eval(names, "[[1.0]]")), "shape");
        assert_eq!(class, "ArgumentValueError");
        assert!(text.contains("expected float64 [*] on cpu, got numpy float64 [1, 1]"), "{text}");
    });
}

#[test]
fn mut_1_what_is_shared_is_borrowed_and_what_is_copied_is_not() {
    with_numpy("f = np.arange(6.0)", |py, names| {
        let f = eval(names, "f");
        let shared: ArgCow<'_, f64> = f.extract().unwrap();
        refused(py, write::<f64, AnyShape, ()>(&f), "shared");
        drop(shared);
        let copied: ArgCow<'_, f32> = f.extract().unwrap();
        write::<f64, AnyShape, ()>(&f).unwrap();
        run(names, "f[:] = 9.0\nf.resize(20, refcheck=False)");
        assert_eq!(copied.iter().sum::<f32>(), 15.0);
    });
}
