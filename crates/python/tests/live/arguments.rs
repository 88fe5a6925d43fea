//! Arguments: which arrays will do, and what is read of them.

use ndarray::ArrayRef;
use ndbridge_python::{
    Aligned, Any, AnyDType, AnyShape, Arg, ArgMut, COrder, Const, Contiguous, FOrder, OneOf,
};
use ndbridge_tensor::{DType, TensorError};
use pyo3::prelude::*;

use crate::{eval, read, refused, run, with_numpy, write};

/// Layouts of `a = np.arange(24.0).reshape(2, 3, 4)`, and how many axes they have.
const LAYOUTS: [&str; 20] = [
    "a",
    "a.T",
    "a.transpose(1, 2, 0)",
    "a[:, 1]",
    "a[..., ::-1]",
    "a[::-1, ::-1, ::-1]",
    "a[:, ::2, ::3]",
    "a[1:, 1:, 1:]",
    "a[:, None]",
    "a[1, 2, 3, ...]",
    "a[:, 1:1]",
    "np.broadcast_to(a[0], (5, 3, 4))",
    "windows(a.ravel(), 5)",
    "strided(a, (4, 3), (8, 8))",
    "np.zeros(4, [('x', 'f8'), ('y', 'f8')])['y']",
    "locked(a.copy())",
    "a.reshape((2,) + (1,) * 61 + (3, 4))",
    "a.view(np.matrix) if a.ndim == 2 else a[0].view(np.matrix)",
    "np.asfortranarray(a)",
    "strided(a, (0, 3), (5, 3))",
];

fn assert_same(view: &ArrayRef<f64, ndarray::IxDyn>, array: &Bound<'_, PyAny>, code: &str) {
    let shape: Vec<usize> = array.getattr("shape").unwrap().extract().unwrap();
    let values: Vec<f64> = array.call_method0("flatten").unwrap().extract().unwrap_or_else(|_| {
        // A matrix stays one.
        array.getattr("A1").unwrap().extract().unwrap()
    });
    assert_eq!(view.shape(), shape, "{code}");
    assert_eq!(view.iter().copied().collect::<Vec<_>>(), values, "{code}");
    let address: usize =
        array.getattr("ctypes").unwrap().getattr("data").unwrap().extract().unwrap();
    assert!(view.is_empty() || view.as_ptr().addr() == address, "{code}");
}

#[test]
fn shr_1_an_argument_reads_the_array_where_it_lies() {
    with_numpy("a = np.arange(24.0).reshape(2, 3, 4)", |_, names| {
        for code in LAYOUTS {
            let array = eval(names, code);
            let arg: Arg<'_, f64> =
                array.extract().unwrap_or_else(|error| panic!("{code}: {error}"));
            assert_same(&arg, &array, code);
            assert_eq!(arg.dtype(), DType::F64);
            assert!(arg.object().is(&array));
            let any: Arg<'_, AnyDType> = array.extract().unwrap();
            assert_same(&any.typed::<f64>().unwrap(), &array, code);
            assert!(matches!(any.typed::<f32>(), Err(TensorError::WrongDType { .. })));
        }
    });
}

#[test]
fn shr_4_an_argument_writes_where_the_array_lies() {
    for code in ["a", "a.T", "a[..., ::-1]", "a[:, ::2, ::3]", "a[1, 2, 3, ...]", "a[:, 1:1]"] {
        with_numpy("a = np.arange(24.0).reshape(2, 3, 4)\nb = a.copy()", |_, names| {
            let array = eval(names, code);
            let mut arg: ArgMut<'_, f64> = array.extract().unwrap();
            arg.mapv_inplace(|value| value + 100.0);
            drop(arg);
            let mut several: ArgMut<'_, OneOf<(f32, f64)>> = array.extract().unwrap();
            several.typed_mut::<f64>().unwrap().mapv_inplace(|value| value * 2.0);
            assert!(several.typed_mut::<f32>().is_err());
            drop(several);
            run(names, &format!("b{0}[...] = (b{0} + 100) * 2\nassert (a == b).all()", &code[1..]));
        });
    }
}

#[test]
fn dty_1_every_dtype_comes_in_as_it_is() {
    with_numpy("import ml_dtypes", |_, names| {
        for dtype in DType::ALL {
            let name = match dtype {
                DType::BF16 | DType::F8E4M3 | DType::F8E5M2 => format!("ml_dtypes.{dtype}"),
                _ => format!("'{dtype}'"),
            };
            let array = eval(names, &format!("np.ones((2, 3), {name})"));
            let arg: Arg<'_, AnyDType, (Any, Const<3>)> = array.extract().unwrap();
            assert_eq!((arg.dtype(), arg.shape()), (dtype, &[2, 3][..]));
        }
    });
}

type Take = fn(&Bound<'_, PyAny>) -> PyResult<()>;
type Fits = (&'static str, Take, &'static [&'static str]);

const FIT: [Fits; 13] = [
    ("f64", read::<f64, AnyShape, ()>, &["f", "f.T", "f[0]", "locked(f)", "f[:0]"]),
    ("f32 or f64", read::<OneOf<(f32, f64)>, AnyShape, ()>, &["f", "f.astype('f4')"]),
    ("any dtype", read::<AnyDType, AnyShape, ()>, &["f", "f.astype('i1')", "f > 0"]),
    ("0-d", read::<f64, (), ()>, &["f[0, 0, ...]", "np.array(2.5)"]),
    ("[*, 3]", read::<f64, (Any, Const<3>), ()>, &["f", "f[:0]", "f[:, ::-1]"]),
    ("[2, *]", read::<f64, (Const<2>, Any), ()>, &["f", "f[:, :0]"]),
    ("C", read::<f64, AnyShape, COrder>, &["f", "f[1]", "f[:, :0]", "f[0, 0, ...]", "f[:1].T.T"]),
    ("F", read::<f64, AnyShape, FOrder>, &["f.T", "f[1]", "np.asfortranarray(f)"]),
    ("contiguous", read::<f64, AnyShape, Contiguous>, &["f", "f.T"]),
    (
        "aligned",
        read::<f64, AnyShape, Aligned<64>>,
        &["aligned(4)", "aligned(4)[::2]", "aligned(4, offset=8)[:0]"],
    ),
    ("aligned C", read::<f64, AnyShape, (COrder, Aligned<64>)>, &["aligned(4)"]),
    ("writable", write::<f64, AnyShape, ()>, &["f", "f.T", "f[::-1]", "f[:0]"]),
    ("writable F", write::<f64, (Any, Any), FOrder>, &["f.T"]),
];

#[test]
fn shr_1_what_fits_is_taken() {
    with_numpy("", |_, names| {
        for (demand, take, codes) in FIT {
            for code in codes {
                run(names, "f = np.arange(6.0).reshape(2, 3)");
                let taken = take(&eval(names, code));
                taken.unwrap_or_else(|error| panic!("{demand}, {code}: {error}"));
            }
        }
    });
}

type Refused = (Take, &'static str, &'static str, &'static str);

const REFUSED: [Refused; 34] = [
    (
        read::<f64, AnyShape, ()>,
        "f.astype('i4')",
        "TypeError",
        "expected float64 [..] on cpu, got numpy int32 [2, 3]: pass argument.astype('float64') (copies 48 B)",
    ),
    (
        read::<OneOf<(f32, f64)>, AnyShape, ()>,
        "f.astype('i4')",
        "TypeError",
        "expected float32 or float64 [..] on cpu, got numpy int32 [2, 3]: \
         pass argument.astype('float32') (copies 24 B)",
    ),
    (
        read::<f32, AnyShape, ()>,
        "memoryview(f)",
        "TypeError",
        "expected float32 [..] on cpu, got array float64 [2, 3]: \
         pass ndbridge.tensor(argument, 'float32') (copies 24 B)",
    ),
    (
        read::<f32, AnyShape, ()>,
        "f > 1",
        "TypeError",
        "got numpy bool [2, 3]: pass argument.astype('float32') (copies 24 B)",
    ),
    (
        write::<f32, AnyShape, ()>,
        "f",
        "TypeError",
        "expected writable float32 [..] on cpu, got numpy float64 [2, 3]: \
         make y = argument.astype('float32') (copies 24 B), pass y, use y",
    ),
    (
        read::<f64, AnyShape, ()>,
        "f.astype('>f8')",
        "TypeError",
        "got numpy float64 [2, 3] in big-endian byte order: pass argument.astype('float64') (copies 48 B)",
    ),
    (
        read::<AnyDType, AnyShape, ()>,
        "f.astype('>f8')",
        "TypeError",
        "any dtype [..] on cpu, got numpy float64 [2, 3] in big-endian",
    ),
    (
        read::<f64, (), ()>,
        "f[0, :1]",
        "ValueError",
        "expected float64 [] on cpu, got numpy float64 [1]",
    ),
    (
        read::<f64, (Any,), ()>,
        "f",
        "ValueError",
        "expected float64 [*] on cpu, got numpy float64 [2, 3]",
    ),
    (
        read::<f64, (Any, Any, Any), ()>,
        "f",
        "ValueError",
        "expected float64 [*, *, *] on cpu, got numpy float64 [2, 3]",
    ),
    (
        read::<f64, (Any, Const<4>), ()>,
        "f",
        "ValueError",
        "expected float64 [*, 4] on cpu, got numpy float64 [2, 3]",
    ),
    (
        read::<f64, (Const<3>, Any), ()>,
        "f",
        "ValueError",
        "expected float64 [3, *] on cpu, got numpy float64 [2, 3]",
    ),
    (
        read::<f64, (Any, Any, Any, Any, Any, Any), ()>,
        "np.zeros((1,) * 64)",
        "ValueError",
        "expected float64 [*, *, *, *, *, *] on cpu",
    ),
    (
        read::<f32, (Any, Const<4>), ()>,
        "f",
        "TypeError",
        "expected float32 [*, 4] on cpu, got numpy float64 [2, 3]",
    ),
    (
        read::<f64, AnyShape, COrder>,
        "f.T",
        "ValueError",
        "expected float64 [..] on cpu, C order, got numpy float64 [3, 2] with strides [8, 24] B: \
         pass numpy.ascontiguousarray(argument) (copies 48 B)",
    ),
    (
        read::<f64, AnyShape, COrder>,
        "f[:, ::2]",
        "ValueError",
        "with strides [24, 16] B: pass numpy.ascontiguousarray(argument)",
    ),
    (
        read::<f64, AnyShape, COrder>,
        "f[::-1]",
        "ValueError",
        "with strides [-24, 8] B: pass numpy.ascontiguousarray(argument)",
    ),
    (
        read::<f64, AnyShape, FOrder>,
        "f",
        "ValueError",
        "Fortran order, got numpy float64 [2, 3]: pass numpy.asfortranarray(argument)",
    ),
    (
        read::<f64, AnyShape, Contiguous>,
        "f[:, ::2]",
        "ValueError",
        "contiguous, got numpy float64 [2, 2] with strides [24, 16] B",
    ),
    (
        read::<f64, AnyShape, FOrder>,
        "f.astype('i4')",
        "TypeError",
        "pass ndbridge.tensor(argument, 'float64').contiguous('F') (copies 48 B)",
    ),
    (
        read::<f64, AnyShape, Aligned<64>>,
        "aligned(4, offset=8)",
        "ValueError",
        "aligned to 64 B, got numpy float64 [4]: pass ndbridge.tensor(argument) (copies 32 B)",
    ),
    (
        read::<f64, AnyShape, (COrder, Aligned<64>)>,
        "aligned(4)[::2]",
        "ValueError",
        "C order, aligned to 64 B",
    ),
    (
        read::<f64, AnyShape, ()>,
        "np.frombuffer(bytearray(25), 'f8', 3, 1)",
        "ValueError",
        "whose address 0x",
    ),
    (
        read::<f64, AnyShape, ()>,
        "np.zeros(3, 'u1,f8')['f1']",
        "ValueError",
        "with strides [9] B, whose",
    ),
    (
        write::<f64, AnyShape, ()>,
        "locked(f)",
        "ValueError",
        "expected writable float64 [..] on cpu, got numpy float64 [2, 3] (read-only): \
         make y = argument.copy() (copies 48 B), pass y, use y",
    ),
    (
        write::<f64, AnyShape, ()>,
        "locked(f)[1:]",
        "ValueError",
        "(read-only): make y = argument.copy()",
    ),
    (
        write::<f64, AnyShape, ()>,
        "np.frombuffer(bytes(16))",
        "ValueError",
        "(read-only): make y = argument.copy()",
    ),
    (
        write::<f64, AnyShape, ()>,
        "LegacyDlpack(f)",
        "ValueError",
        "array float64 [2, 3] (read-only): make y = ndbridge.tensor(argument)",
    ),
    (write::<u8, AnyShape, ()>, "b'abc'", "ValueError", "array uint8 [3] (read-only)"),
    (
        write::<f64, AnyShape, ()>,
        "np.broadcast_to(f[0], (5, 3))",
        "ValueError",
        "(read-only) with strides [0, 8] B",
    ),
    (
        write::<f64, AnyShape, ()>,
        "strided(f, (2, 2), (8, 8))",
        "ValueError",
        "whose axes of shape [2, 2], strides [8, 8] B interleave",
    ),
    (write::<f64, AnyShape, ()>, "strided(f, (2, 2), (0, 8))", "ValueError", ""),
    (write::<f64, AnyShape, ()>, "strided(f[1, 2:], (3, 2), (-8, -8))", "ValueError", ""),
    (read::<f64, AnyShape, ()>, "[1.0]", "TypeError", "argument: list offers no array"),
];

/// Each refusal is one of Python's exceptions, and the array can be taken for something else at once.
#[test]
fn shr_1_what_does_not_fit_is_refused_with_the_demand_the_array_and_the_call() {
    with_numpy("", |py, names| {
        for (take, code, expected_class, expected) in REFUSED {
            run(names, "f = np.arange(6.0).reshape(2, 3)");
            let object = eval(names, code);
            let (class, text) = refused(py, take(&object), code);
            assert_eq!(class, format!("Argument{expected_class}"), "{code}: {text}");
            assert!(text.starts_with("argument: ") && text.contains(expected), "{code}: {text}");
            run(names, "f = np.arange(6.0)\nf.resize(9, refcheck=False)");
        }
    });
}

/// No copy cures a wrong shape.
#[test]
fn shr_1_a_wrong_shape_names_no_call() {
    with_numpy("", |py, names| {
        for (take, code) in [
            (read::<f64, (Any,), ()> as Take, "np.zeros((2, 3))"),
            (read::<f64, (Any,), ()>, "np.zeros((2, 3), 'i4')"),
            (write::<f64, (Const<2>,), COrder>, "locked(np.zeros((2, 3)).T)"),
        ] {
            let (_, text) = refused(py, take(&eval(names, code)), code);
            assert!(!text.contains(": pass") && !text.contains("make y"), "{text}");
        }
    });
}

#[test]
fn mut_5_a_byte_that_is_no_bool_is_named_by_its_index() {
    with_numpy("", |py, names| {
        for (made, index) in [
            ("b = np.ones((4, 6), bool); b.view('u1')[1, 2] = 7", "[1, 2]"),
            ("b = np.ones((4, 6), bool); b.view('u1')[3, 5] = 7; b = b[::-1, ::-1]", "[0, 0]"),
            (
                "b = np.ones(6, bool); b.view('u1')[3] = 7; b = np.broadcast_to(b, (10**12, 6))",
                "[0, 3]",
            ),
            ("b = np.array([1, 0, 7], 'u1').view(bool)[2, ...]", "[]"),
        ] {
            run(names, made);
            for (take, is_read) in [
                (read::<bool, AnyShape, ()> as Take, true),
                (write::<bool, AnyShape, ()>, false),
                (read::<AnyDType, AnyShape, ()>, true),
            ] {
                if made.contains("broadcast") && !is_read {
                    continue; // read-only
                }
                let (class, text) = refused(py, take(&eval(names, "b")), made);
                assert_eq!(class, "ArgumentValueError");
                let expected = format!(
                    "byte 7 at index {index} is not a bool (0 or 1): pass argument.view('uint8')"
                );
                assert!(text.contains(&expected), "{made}: {text}");
            }
        }
        read::<bool, AnyShape, ()>(&eval(names, "np.ones(5, bool)")).unwrap();
        read::<bool, AnyShape, ()>(&eval(names, "np.array([7], 'u1').view(bool)[:0]")).unwrap();
        // Nothing stays borrowed.
        run(names, "b = np.array([1, 0, 7], 'u1')");
        refused(py, read::<bool, AnyShape, ()>(&eval(names, "b.view(bool)")), "bool");
        write::<u8, AnyShape, ()>(&eval(names, "b")).unwrap();
    });
}
