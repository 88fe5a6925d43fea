//! While an array is an argument, or kept, its memory stays where it is; afterwards all is as before.

use ndbridge_python::{AnyDType, Arg, ArgMut, from_python};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::{eval, refused, run, with_numpy};

/// Views of `a = np.arange(8.0)`.
const VIEWS: [&str; 16] = [
    "a",
    "a[1:]",
    "a[1:][::2]",
    "a.reshape(2, 4)",
    "a.reshape(2, 4).T",
    "a.view('int32')",
    "a[3, ...]",
    "a.view(np.matrix)",
    "strided(a, (3,), (16,))",
    "memoryview(a)",
    "np.asarray(memoryview(a))",
    "np.frombuffer(a)",
    "np.ndarray(8, buffer=a)",
    "a.view([('x', 'f4'), ('y', 'f4')])['y']",
    "windows(a, 3)",
    "a.view(Sub)[1:]",
];

const BUFFERS: [(&str, &str); 4] = [
    ("bytearray(64)", "b.extend(bytes(10_000))"),
    ("bytearray(64)", "b.clear()"),
    ("array.array('d', range(8))", "b.extend(range(1000))"),
    ("mmap.mmap(-1, 4096)", "b.close()"),
];

const OVER: [&str; 7] = [
    "b",
    "memoryview(b)",
    "memoryview(b)[2:]",
    "np.frombuffer(b, 'uint8')",
    "np.ndarray(16, 'uint8', b)",
    "np.frombuffer(b, 'uint8')[4:]",
    "np.ndarray(16, 'uint8', memoryview(b)[2:])",
];

/// Ways to have an array: while what is returned lives.
type Have = (&'static str, for<'py> fn(&Bound<'py, PyAny>) -> PyResult<Box<dyn Had + 'py>>);

trait Had {}
impl<T> Had for T {}

const HAVE: [Have; 4] = [
    ("Arg", |x| Ok(Box::new(x.extract::<Arg<'_, AnyDType>>()?))),
    ("ArgMut", |x| Ok(Box::new(x.extract::<ArgMut<'_, AnyDType>>()?))),
    ("kept", |x| Ok(Box::new(from_python(x)?))),
    ("kept view", |x| Ok(Box::new(from_python(x)?.unsqueeze(0).unwrap()))),
];

fn check(names: &Bound<'_, PyDict>, code: &str, (way, have): Have, moves: &str) {
    let case = format!("{code}, {way}, {moves}");
    let object = eval(names, code);
    let had = match have(&object) {
        Ok(had) => had,
        Err(error) => {
            // Neither read-only arrays nor those that reach a byte twice are written.
            assert!(way == "ArgMut" && error.to_string().contains("writable"), "{case}: {error}");
            return;
        }
    };
    // The object may go away meanwhile.
    drop(object);
    run(names, "gc.collect()");
    let (class, text) = refused(
        names.py(),
        names.py().eval(&std::ffi::CString::new(moves).unwrap(), Some(names), None),
        &case,
    );
    assert!(["ValueError", "BufferError"].contains(&class.as_str()), "{case}: {class}: {text}");
    drop(had);
    run(names, "gc.collect()");
    run(names, moves);
}

#[test]
fn own_5_an_array_is_not_resized() {
    for code in VIEWS {
        for have in HAVE {
            for size in [8000, 2, 0] {
                with_numpy(
                    "class Sub(np.ndarray): pass\na = np.arange(8.0)\nflags = str(a.flags)",
                    |_, names| {
                        check(names, code, have, &format!("a.resize({size}, refcheck=False)"));
                        run(
                            names,
                            &format!("assert str(a.flags) == flags and a.size in ({size}, 8)"),
                        );
                    },
                );
            }
        }
    }
}

#[test]
fn own_5_a_buffer_is_neither_resized_nor_closed() {
    for (made, moves) in BUFFERS {
        for code in OVER {
            for have in HAVE {
                with_numpy(&format!("b = {made}"), |_, names| check(names, code, have, moves));
            }
        }
    }
}

const MOVED: &str = "
a = np.arange(8.0)
def moved():
    try: a.resize(80, refcheck=False)
    except ValueError: return False
    return True
";

#[test]
fn own_5_borrows_of_one_array_end_in_any_order() {
    for (one, two) in [("a", "a"), ("a", "a[1:]"), ("a[1:]", "a"), ("a[1:]", "a[2:]")] {
        for is_first in [true, false] {
            with_numpy(MOVED, |_, names| {
                let is_moved = || eval(names, "moved()").extract::<bool>().unwrap();
                let first: Arg<'_, f64> = eval(names, one).extract().unwrap();
                let second: Arg<'_, f64> = eval(names, two).extract().unwrap();
                let (early, late) = if is_first { (first, second) } else { (second, first) };
                drop(early);
                assert!(!is_moved(), "{one}, {two}, {is_first}");
                drop(late);
                run(names, "assert a.flags.owndata");
                assert!(is_moved(), "{one}, {two}, {is_first}");
            });
        }
    }
}

#[test]
fn own_5_a_memoryview_that_is_released_changes_nothing() {
    with_numpy("b = bytearray(64)\nview = memoryview(b)", |_, names| {
        let tensor = from_python(&eval(names, "view")).unwrap();
        run(
            names,
            "
try: view.release()
except BufferError: pass
try: b.clear()
except BufferError: pass
else: raise AssertionError
",
        );
        assert_eq!(tensor.len(), 64);
    });
}

#[test]
fn own_5_shape_and_strides_set_later_change_nothing() {
    with_numpy("a = np.arange(12.0)", |_, names| {
        let tensor = from_python(&eval(names, "a")).unwrap();
        run(names, "warnings.simplefilter('ignore')\na.shape = (3, 4)\na.dtype = 'int64'");
        assert_eq!((tensor.shape(), tensor.strides()), (&[12][..], &[8][..]));
        assert_eq!(tensor.to_vec::<f64>().unwrap()[11], 11.0);
    });
}
