//! What keeps an array's memory in its place.

use ndbridge_numpy::python::api::{NumpyApi, OWNS_DATA};
use ndbridge_numpy::python::pins::{CallPin, Chain};
use ndbridge_storage::ForeignAccess;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::{eval, raised, run, said, with_numpy};

const RESIZE: &str = "cannot resize";
const EXPORTED: &str = "Existing exports of data: object cannot be re-sized";

/// What makes `a` over the memory of `b`, what would move that, and the text of the refusal.
type Case = (&'static str, &'static str, &'static str);

const CASES: [Case; 9] = [
    ("a = b = np.arange(6.0)", "b.resize(9, refcheck=False)", RESIZE),
    ("a = b = np.zeros(())", "b.resize(9, refcheck=False)", RESIZE),
    ("b = np.arange(6.0); a = b[::2]", "b.resize(9, refcheck=False)", RESIZE),
    ("b = np.arange(6.0); a = b.reshape(2, 3).T[1:]", "b.resize(9, refcheck=False)", RESIZE),
    (
        "b = np.arange(6.0); a = np.lib.stride_tricks.as_strided(b, (3,), (8,))",
        "b.resize(9, refcheck=False)",
        RESIZE,
    ),
    ("b = np.arange(6.0); a = np.asarray(memoryview(b))", "b.resize(9, refcheck=False)", RESIZE),
    ("b = bytearray(16); a = np.frombuffer(b, 'f8')", "b.append(1)", EXPORTED),
    ("b = bytearray(16); a = np.ndarray(2, 'f8', b)", "b.append(1)", EXPORTED),
    ("b = mmap.mmap(-1, 64); a = np.ndarray(2, 'f8', b)", "b.close()", "exported pointers exist"),
];

/// Keeps the memory of an array in its place, until it is dropped.
trait Pin {
    fn of<'py>(api: &NumpyApi, array: &Bound<'py, PyAny>) -> Box<dyn Held + 'py>;
}

trait Held {}
impl<T> Held for T {}

struct ForACall;
struct ForGood;

impl Pin for ForACall {
    fn of<'py>(api: &NumpyApi, array: &Bound<'py, PyAny>) -> Box<dyn Held + 'py> {
        Box::new(CallPin::array(api, array, &api.array_of(array).unwrap()).unwrap())
    }
}

impl Pin for ForGood {
    fn of<'py>(_: &NumpyApi, array: &Bound<'py, PyAny>) -> Box<dyn Held + 'py> {
        Box::new(Chain::of(array).unwrap())
    }
}

fn check<P: Pin>() {
    with_numpy("import mmap", |py, names| {
        for (made, moves, expected) in CASES {
            run(names, made);
            check_case::<P>(NumpyApi::get(py).unwrap(), names, moves, expected);
        }
    });
}

fn check_case<P: Pin>(api: &NumpyApi, names: &Bound<'_, PyDict>, moves: &str, expected: &str) {
    let (array, owner) = (eval(names, "a"), eval(names, "b"));
    let flags = || api.array_of(&owner).map(|owner| owner.flags);
    let before = flags();
    // Two at once, let go of in the order of a queue.
    for pin in [P::of(api, &array), P::of(api, &array)] {
        let (_, text) = raised(names, moves);
        assert!(text.contains(expected), "{moves}: {text}");
        drop(pin);
    }
    assert_eq!(flags(), before, "{moves}");
    drop(array);
    run(names, &format!("a = a if a is b else None\n{moves}"));
}

#[test]
fn own_5_the_memory_of_an_argument_stays_until_the_call_is_over() {
    check::<ForACall>();
}

#[test]
fn own_5_memory_that_is_kept_stays_until_it_is_let_go_of() {
    check::<ForGood>();
}

/// NumPy copies the bytes of a small array, and takes those of a large one as they are.
#[test]
fn own_5_an_array_that_was_given_other_memory_meanwhile_owns_what_numpy_says() {
    for (count, is_owned) in [(3, true), (3000, false)] {
        let code =
            format!("a, b = np.arange(6.0), np.arange({count}.0)\nstate = b.__reduce__()[2]");
        with_numpy(&code, |py, names| {
            let api = NumpyApi::get(py).unwrap();
            let array = eval(names, "a");
            let owns = || api.array_of(&array).unwrap().flags & OWNS_DATA != 0;
            let pin = CallPin::array(api, &array, &api.array_of(&array).unwrap()).unwrap();
            assert!(!owns() && pin.cleared().is_some());
            run(names, "a.__setstate__(state)");
            assert_eq!(owns(), is_owned, "{count}");
            drop(pin);
            assert_eq!(owns(), is_owned, "{count}: what NumPy set since then stays");
            run(names, "assert (a == b).all()");
        });
    }
}

#[test]
fn own_5_the_end_of_the_chain_tells_who_writes() {
    with_numpy("import mmap", |py, names| {
        let _ = py;
        for (code, is_frozen, end) in [
            ("np.arange(3.0)", false, None),
            ("np.arange(3.0)[1:]", false, None),
            ("np.frombuffer(b'\\0' * 16)", true, Some("bytes")),
            ("np.frombuffer(b'\\0' * 16)[1:]", true, Some("bytes")),
            ("np.frombuffer(bytearray(16))", false, Some("bytearray")),
            ("np.ndarray(2, 'f8', mmap.mmap(-1, 64))", false, Some("mmap")),
        ] {
            let chain = Chain::of(&eval(names, code)).unwrap();
            let access = chain.access();
            assert_eq!(matches!(access, ForeignAccess::Frozen), is_frozen, "{code}");
            let found = chain.end.map(|end| end.get_type().name().unwrap().to_string());
            assert_eq!(found.as_deref(), end, "{code}");
        }
    });
}

#[test]
fn own_5_a_chain_without_end_is_refused() {
    let code = "
def chain(links):
    a = np.arange(4.0)
    for _ in range(links): a = np.lib.stride_tricks.as_strided(a)
    return a
";
    with_numpy(code, |py, names| {
        assert!(Chain::of(&eval(names, "chain(20)")).is_ok());
        let (class, text) = said(py, &Chain::of(&eval(names, "chain(80)")).err().unwrap());
        assert_eq!(class, "ValueError");
        assert!(text.contains("a view of more than 64 arrays"), "{text}");
    });
}
