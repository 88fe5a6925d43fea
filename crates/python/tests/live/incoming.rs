//! Arrays in, by every protocol: shared, or refused in words that name what works.

use ndbridge_python::{
    AnyDType, AnyShape, find, find_by_dlpack, from_numpy, from_python, gather, python_owner,
};
use ndbridge_storage::Mutability;
use ndbridge_tensor::{CopyRule, DType, Request, Tensor, copies};
use pyo3::prelude::*;

use crate::{eval, read, refused, run, with_numpy, write};

use Mutability::{ReadOnly, Unknown, Writable};

/// An object, and an array of NumPy's over the same elements in the same order.
const SHARED: [(&str, Mutability); 33] = [
    ("(a, a)", Writable),
    ("(a[::-2], a[::-2])", Writable),
    ("(a.reshape(2, 3).T, a.reshape(2, 3).T)", Writable),
    ("(a[2, ...], a[2, ...])", Writable),
    ("(a[:0], a[:0])", Writable),
    ("(a.view(np.matrix), a[None])", Writable),
    ("(np.broadcast_to(a, (2, 6)), np.broadcast_to(a, (2, 6)))", ReadOnly),
    ("(strided(a, (3, 2), (8, 8)), strided(a, (3, 2), (8, 8)))", Writable),
    ("(locked(a)[1:], a[1:])", ReadOnly),
    ("(memoryview(a), a)", Writable),
    ("(memoryview(a)[::2], a[::2])", Writable),
    ("(memoryview(locked(a)), a)", ReadOnly),
    ("(memoryview(a.reshape(2, 3)), a.reshape(2, 3))", Writable),
    ("(c := bytes(a.view('u1')), np.frombuffer(c, 'u1'))", ReadOnly),
    ("(c := bytearray(a), np.frombuffer(c, 'u1'))", Writable),
    ("(c := array.array('d', a), np.frombuffer(c))", Writable),
    ("(c := array.array('b', b'abc'), np.frombuffer(c, 'i1'))", Writable),
    ("(c := mmap.mmap(-1, 64), np.frombuffer(c, 'u1'))", Writable),
    ("(c := (ctypes.c_int32 * 3)(1, 2, 3), np.frombuffer(c, 'i4'))", Writable),
    ("(c := (ctypes.c_float * 3 * 2)(), np.frombuffer(c, 'f4').reshape(2, 3))", Writable),
    ("(Dlpack(a), a)", Writable),
    ("(Dlpack(a[::2]), a[::2])", Writable),
    ("(Dlpack(a.reshape(2, 3).T), a.reshape(2, 3).T)", Writable),
    ("(Dlpack(locked(a)), a)", ReadOnly),
    ("(LegacyDlpack(a), a)", Unknown),
    ("(a.__dlpack__(), a)", Unknown),
    ("(a.__dlpack__(max_version=(1, 0)), a)", Writable),
    ("(Interface(a), a)", Writable),
    ("(Interface(a[::-1]), a[::-1])", Writable),
    ("(Interface(locked(a)), a)", ReadOnly),
    ("(Interface(a, data=a.data), a)", Writable),
    ("(Interface(a, data=bytearray(48), offset=8, shape=(2,), strides=None), None)", Writable),
    ("(a.view(np.recarray), a)", Writable),
];

fn check_shared(
    py: Python<'_>,
    code: &str,
    object: &Bound<'_, PyAny>,
    array: &Bound<'_, PyAny>,
) -> Tensor {
    let before = copies().bytes;
    let tensor = from_python(object).unwrap_or_else(|error| panic!("{code}: {error}"));
    assert_eq!(copies().bytes, before, "{code}");
    if !array.is_none() {
        let expected = from_numpy(array).unwrap();
        assert_eq!(tensor.shape(), expected.shape(), "{code}");
        assert_eq!(tensor.dtype(), expected.dtype(), "{code}");
        if !tensor.is_empty() {
            assert_eq!(tensor.as_ptr(), expected.as_ptr(), "{code}");
            let (one, two) = (tensor.strides(), expected.strides());
            let differ = (0..tensor.ndim()).any(|at| tensor.shape()[at] > 1 && one[at] != two[at]);
            assert!(!differ, "{code}: {one:?}, {two:?}");
        }
    }
    let _ = py;
    tensor
}

#[test]
fn shr_1_what_speaks_a_protocol_is_shared() {
    for (code, mutability) in SHARED {
        with_numpy("a = np.arange(6.0)", |py, names| {
            let pair = eval(names, code);
            let (object, array) = (pair.get_item(0).unwrap(), pair.get_item(1).unwrap());
            let is_capsule = code.contains("__dlpack__");
            let tensor = check_shared(py, code, &object, &array);
            assert_eq!(tensor.mutability(), mutability, "{code}");
            if is_capsule {
                return; // used up
            }
            let read = read::<AnyDType, AnyShape, ()>(&object);
            read.unwrap_or_else(|error| panic!("{code}: {error}"));
            let written = write::<AnyDType, AnyShape, ()>(&object);
            let reaches_twice = code.contains("strided");
            assert_eq!(written.is_ok(), mutability == Writable && !reaches_twice, "{code}");
        });
    }
}

#[test]
fn shr_4_writes_go_both_ways_through_every_protocol() {
    for code in
        ["a", "memoryview(a)", "Dlpack(a)", "Interface(a)", "memoryview(a).cast('B').cast('d')"]
    {
        with_numpy("a = np.arange(6.0)", |_, names| {
            let tensor = from_python(&eval(names, code)).unwrap();
            run(names, "a[1] = 70.0");
            assert_eq!(tensor.read::<f64>().unwrap()[[1]], 70.0, "{code}");
            tensor.write::<f64>().unwrap()[[2]] = 80.0;
            run(names, "assert a[2] == 80.0");
        });
    }
}

#[test]
fn own_1_the_tensor_keeps_what_it_was_made_of() {
    for code in ["a", "a[1:]", "memoryview(a)", "Dlpack(a)", "Interface(a)", "a.view(Sub)"] {
        let made = "
class Sub(np.ndarray): pass
a, gone = np.arange(6.0).view(Sub), []
weakref.finalize(a, gone.append, 1)
";
        with_numpy(made, |py, names| {
            let tensor = from_python(&eval(names, code)).unwrap();
            let last = tensor.to_vec::<f64>().unwrap().last().copied();
            run(names, "del a\ngc.collect()\nassert not gone");
            assert_eq!(last, Some(5.0), "{code}");
            if code == "a" {
                let owner = python_owner(py, &tensor).unwrap();
                assert_eq!(owner.get_type().name().unwrap(), "Sub");
            }
            drop(tensor);
            run(names, &format!("gc.collect()\nassert gone == [1], {code:?}"));
        });
    }
}

/// What is refused, the class, and words of the refusal.
const REFUSED: [(&str, &str, &str); 34] = [
    ("None", "TypeError", "NoneType offers no array: expected a NumPy array"),
    ("3", "TypeError", "pass numpy.asarray(x) (copies)"),
    ("[1.0]", "TypeError", "list offers no array"),
    ("'text'", "TypeError", "str offers no array"),
    ("np.float64(3)", "TypeError", "numpy.float64 offers no array"),
    ("object()", "TypeError", "object offers no array"),
    ("np.ndarray", "TypeError", ""),
    ("np.zeros(2, object)", "TypeError", "object"),
    ("np.array(['a'])", "TypeError", "<U1"),
    ("np.zeros(2, 'M8[s]')", "TypeError", "view(\"int64\")"),
    ("np.zeros(2, 'f4,f4')", "TypeError", "take one field, as in array['name'], which shares"),
    ("np.zeros(2, 'g')", "TypeError", "long double"),
    ("np.ma.ones(2)", "TypeError", "pass x.filled(value) (copies), or x.data and x.mask (share)"),
    ("a.astype('>f8')", "ValueError", "byte order"),
    ("memoryview(a.astype('>f8'))", "ValueError", "byte order"),
    ("memoryview(np.zeros(2, 'f4,f4'))", "TypeError", "structured"),
    ("Interface(a, mask=np.ones(6, bool))", "BufferError", "would be lost: fill it first"),
    ("Interface(np.array(['a']))", "TypeError", "<U1"),
    ("Interface(a, typestr='|O')", "TypeError", "object"),
    ("Interface(a, data=(0, False))", "ValueError", ""),
    ("Interface(a, data=(2**63, False))", "ValueError", "outside the address space"),
    ("Interface(a, shape=(2**61,), strides=(8,))", "ValueError", ""),
    ("Interface(a, strides=(2**62,))", "ValueError", ""),
    ("Interface(a, data=a.data, shape=(7,))", "", ""),
    (
        "Interface(a, data=a.data, strides=(-8,))",
        "BufferError",
        "reaches out of its buffer of 48 B",
    ),
    (
        "Interface(a, data=a.data, strides=(16,))",
        "BufferError",
        "reaches out of its buffer of 48 B",
    ),
    ("Lying(a)", "BufferError", "gives out a copy of its elements, not its memory"),
    ("Cuda()", "TypeError", "cuda:0 is not host memory: pass a copy of it on the cpu"),
    ("OnDevice((2, 1))", "TypeError", "cuda:1 is not host memory"),
    ("OnDevice((10, 0))", "TypeError", "DLPack device (10, 0) is not host memory"),
    ("Raises()", "KeyError", "mine"),
    ("Dlpack(np.zeros(2, 'M8[s]'))", "BufferError", ""),
    ("memoryview(b'abcd').cast('c')", "TypeError", ""),
    ("(ctypes.c_char_p * 2)()", "", ""),
];

const LIARS: &str = "
a = np.arange(6.0)
class Lying:
    # Another address each time it is asked.
    def __init__(self, array): self.arrays = [array, array.copy()]
    @property
    def __array_interface__(self):
        self.arrays.reverse()
        return self.arrays[0].__array_interface__
class Cuda:
    __cuda_array_interface__ = dict(shape=(1,), typestr='<f8', data=(256, False), version=3)
class OnDevice:
    def __init__(self, device): self.device = device
    def __dlpack_device__(self): return self.device
    def __dlpack__(self, **options): raise AssertionError('asked')
class Raises:
    @property
    def __array_interface__(self): raise KeyError('mine')
";

#[test]
fn dty_4_what_is_no_array_or_cannot_be_carried_is_refused_by_name() {
    type Take = (&'static str, fn(&Bound<'_, PyAny>) -> PyResult<()>);
    const TAKES: [Take; 3] = [
        ("from_python", |x| from_python(x).map(drop)),
        ("Arg", read::<AnyDType, AnyShape, ()>),
        ("ArgMut", write::<AnyDType, AnyShape, ()>),
    ];
    with_numpy(LIARS, |py, names| {
        for (code, expected_class, expected) in REFUSED {
            for (call, take) in TAKES {
                let object = eval(names, code);
                let (class, text) = refused(py, take(&object), &format!("{code} {call}"));
                // An argument's exceptions are classes below these.
                let is_right = class.ends_with(expected_class);
                let is_order = expected == "byte order";
                assert!(
                    is_right || is_order && class.ends_with("TypeError"),
                    "{code} {call}: {class}"
                );
                // Of what is to be written, a copy is kept under a name.
                let is_advice = call != "from_python" && expected.contains("pass ");
                let expected = if is_advice { "" } else { expected };
                assert!(text.contains(expected), "{code} {call}: {text}");
            }
        }
    });
}

#[test]
fn shr_1_lists_and_numbers_are_none_and_gathered_by_numpy() {
    with_numpy("", |py, names| {
        for code in
            ["[1.0, 2.0]", "3", "2.5", "None", "np.float32(3)", "'text'", "((1, 2), (3, 4))"]
        {
            assert!(find(&eval(names, code)).unwrap().is_none(), "{code}");
        }
        for (code, dtype, expected) in [
            ("[1, 2]", None, "np.array([1, 2])"),
            ("[1, 2]", Some(DType::F32), "np.array([1, 2], 'f4')"),
            ("3", Some(DType::I8), "np.array(3, 'i1')"),
        ] {
            names.set_item("found", gather(&eval(names, code), dtype).unwrap()).unwrap();
            run(
                names,
                &format!(
                    "expected = {expected}\nassert found.dtype == expected.dtype and (found == expected).all()"
                ),
            );
        }
        let (class, _) = refused(py, gather(&eval(names, "[300]"), Some(DType::I8)), "300");
        assert_eq!(class, "OverflowError");
        // Only what speaks DLPack is taken by it, and only arrays of NumPy by `from_numpy`.
        let (class, text) = refused(py, find_by_dlpack(&eval(names, "b'ab'")), "bytes");
        assert_eq!(class, "BufferError");
        assert!(text.contains("bytes has no __dlpack__"), "{text}");
        let (class, text) = refused(py, from_numpy(&eval(names, "b'ab'")), "bytes");
        assert_eq!(class, "TypeError");
        assert!(text.contains("expected a numpy.ndarray, got bytes"), "{text}");
    });
}

#[test]
fn shr_3_what_is_found_is_shared_or_copied_as_asked() {
    with_numpy("a = np.arange(6.0)", |py, names| {
        let found = || find(&eval(names, "Dlpack(a)")).unwrap().unwrap();
        let request = |rule| Request::new("test").with_copy(rule);
        assert_eq!(found().facts().len, 6);
        let shared = found().convert(&request(CopyRule::Never)).unwrap();
        assert!(shared.receipt().is_shared());
        let copied = found().convert(&request(CopyRule::Always)).unwrap();
        assert!(!copied.receipt().is_shared() && copied.as_ptr() != shared.as_ptr());
        let cast = request(CopyRule::IfNeeded).with_dtype(DType::C64);
        assert!(!found().convert(&cast).unwrap().receipt().is_shared());
        let refused_cast = request(CopyRule::Never).with_dtype(DType::C64);
        let (class, text) = refused(py, found().convert(&refused_cast), "dtype");
        assert_eq!(class, "ValueError");
        assert!(text.starts_with("test: "), "{text}");
    });
}
