//! Many readers or one writer over any byte, whatever the arrays are of.

use std::sync::Barrier;

use ndbridge_python::{AnyDType, Arg, ArgMut, Hold, from_python, hold, to_numpy};
use ndbridge_tensor::Tensor;
use pyo3::prelude::*;

use crate::{eval, refused, run, with_numpy};

type Read<'py> = Arg<'py, AnyDType>;
type Write<'py> = ArgMut<'py, AnyDType>;

/// Two arrays with a byte in common; the second one may be written.
const OVERLAPPING: [&str; 26] = [
    "x, x",
    "x, x[1:]",
    "x[1:][:, 1:], x.T[::2]",
    "x[:3, :3], x[2:, 2:]",
    "x[:3], x[::-1][3:]",
    "x.ravel()[::2], x.ravel()[::3]",
    "x[:, ::2], x[:, ::3]",
    "x[1, 2, ...], x[1]",
    "x[1, 2, ...], x[1, 2, ...]",
    "x, x.view('uint8')[0, 47:]",
    "x[0].view('uint8')[4:6], x[0, :1].view('float32')[1:]",
    "strided(x, (3,), (16,)), x[0, 4:]",
    "windows(x[0], 3), x[0, 5:]",
    "np.broadcast_to(x[2], (3, 6)), x[2]",
    "x.view(np.matrix), x",
    "x.view('complex128').real, x[:, 4]",
    "x.view([('a', 'f8'), ('b', 'f8')])['b'][..., 0], x[0]",
    "np.from_dlpack(x), x",
    "Dlpack(x), x",
    "x, Dlpack(x[2:])",
    "LegacyDlpack(x), x",
    "Interface(x), x[5]",
    "x, Interface(x[5])",
    "memoryview(x), x",
    "memoryview(b)[:32].cast('d'), memoryview(b)[24:].cast('d')",
    "b, np.frombuffer(b, 'u1')[63:]",
];

/// Two without one.
const DISJOINT: [&str; 19] = [
    "x[:3], x[3:]",
    "x[:, :2], x[:, 2:]",
    "x.ravel()[::2], x.ravel()[1::2]",
    "x[::2], x[1::2]",
    "x[:, ::3], x[:, 1::3]",
    "x[::-1][:3], x[:3]",
    "x[::2, ::2], x[1::2, 1::2]",
    "x[1, 2, ...], x[1, 3, ...]",
    "x.view('float32')[:, ::2], x.view('float32')[:, 1::2]",
    "x.view('complex128').real, x.view('complex128').imag",
    "strided(x, (3,), (16,)), strided(x[0, 1:], (3,), (16,))",
    "windows(x[0], 3), x[1]",
    "x.view([('a', 'f8'), ('b', 'f8')])['a'], x.view([('a', 'f8'), ('b', 'f8')])['b']",
    "x[:0], x",
    "x, x[2:2]",
    "np.from_dlpack(x)[:3], x[3:]",
    "Dlpack(x[:3]), Interface(x[3:])",
    "memoryview(b)[:32].cast('d'), memoryview(b)[32:].cast('d')",
    "x, x.copy()",
];

fn check(code: &str, test: impl FnOnce(Python<'_>, &Bound<'_, PyAny>, &Bound<'_, PyAny>)) {
    with_numpy("x, b = np.zeros((6, 6)), bytearray(64)", |py, names| {
        let pair = eval(names, code);
        test(py, &pair.get_item(0).unwrap(), &pair.get_item(1).unwrap());
    });
}

#[test]
fn mut_1_a_writer_of_common_bytes_is_refused() {
    for code in OVERLAPPING {
        check(code, |py, one, two| {
            let reading: Read<'_> = one.extract().unwrap_or_else(|error| panic!("{code}: {error}"));
            let (class, text) = refused(py, two.extract::<Write<'_>>(), code);
            assert_eq!(class, "ArgumentBufferError", "{code}: {text}");
            assert!(
                text.contains("borrowed for reading by another argument: make y = "),
                "{code}: {text}"
            );
            let also: Read<'_> = two.extract().unwrap();
            drop(reading);
            refused(py, two.extract::<Write<'_>>(), code);
            drop(also);
            let writing: Write<'_> = two.extract().unwrap();
            let (class, text) = refused(py, one.extract::<Read<'_>>(), code);
            assert_eq!(class, "ArgumentBufferError");
            assert!(
                text.contains("borrowed for writing by another argument: pass "),
                "{code}: {text}"
            );
            refused(py, two.extract::<Write<'_>>(), code);
            drop(writing);
            one.extract::<Read<'_>>().unwrap();
        });
    }
}

#[test]
fn mut_1_disjoint_bytes_do_not_conflict() {
    for code in DISJOINT {
        check(code, |_, one, two| {
            let writing: Write<'_> = two.extract().unwrap();
            let reading: Read<'_> = one.extract().unwrap_or_else(|error| panic!("{code}: {error}"));
            drop((writing, reading));
            if !code.contains("windows") {
                let first: Write<'_> = one.extract().unwrap();
                let second: Write<'_> = two.extract().unwrap();
                drop((first, second));
            }
        });
    }
}

#[test]
fn mut_1_of_many_arguments_at_once() {
    with_numpy("x = np.zeros(64)", |py, names| {
        let part = |at: usize| eval(names, &format!("x[{at} : {at} + 2]"));
        let parts: Vec<_> = (0..64).step_by(2).map(part).collect();
        let held: Vec<Write<'_>> = parts.iter().map(|part| part.extract().unwrap()).collect();
        for at in 0..63 {
            refused(py, part(at).extract::<Read<'_>>(), "held");
        }
        drop(held);
        eval(names, "x").extract::<Write<'_>>().unwrap();
    });
}

/// Guards of tensors, of the array and of our own memory, ask the same ledger.
#[test]
fn mut_1_arguments_and_guards_exclude_each_other() {
    with_numpy("x = np.zeros(6)", |py, names| {
        let ours = Tensor::from_vec(vec![0.0_f64; 6]);
        names.set_item("y", to_numpy(py, &ours).unwrap()).unwrap();
        let theirs = from_python(&eval(names, "x")).unwrap();
        for (name, tensor) in [("x", &theirs), ("y", &ours)] {
            let array = eval(names, name);
            let guard = tensor.write::<f64>().unwrap();
            let (class, text) = refused(py, array.extract::<Read<'_>>(), name);
            assert_eq!(class, "ArgumentBufferError");
            assert!(
                text.contains("borrowed for writing by Rust code (conflicts.rs, line "),
                "{text}"
            );
            drop(guard);
            let reading: Read<'_> = array.extract().unwrap();
            assert!(tensor.read::<f64>().is_ok());
            let error = tensor.write::<f64>().unwrap_err().to_string();
            assert!(error.contains("an argument of a running call"), "{error}");
            drop(reading);
            let half: Write<'_> = eval(names, &format!("{name}[:3]")).extract().unwrap();
            assert!(tensor.read::<f64>().is_err());
            let rest = tensor.index(&[ndbridge_tensor::Index::Slice {
                start: Some(3),
                stop: None,
                step: 1,
            }]);
            assert!(rest.unwrap().write::<f64>().is_ok());
            drop(half);
            assert!(tensor.write::<f64>().is_ok());
        }
    });
}

/// What is kept of an argument is borrowed like any other, when it is used.
#[test]
fn mut_1_a_tensor_of_an_argument_waits_for_it() {
    with_numpy("x = np.arange(6.0)", |_, names| {
        let x = eval(names, "x");
        let argument: Write<'_> = x.extract().unwrap();
        let tensor = argument.tensor().unwrap();
        assert!(tensor.read::<f64>().is_err());
        drop(argument);
        assert_eq!(tensor.to_vec::<f64>().unwrap()[5], 5.0);
    });
}

#[test]
fn mut_1_an_argument_of_another_thread_is_named_by_where_that_is() {
    static HELD: Barrier = Barrier::new(2);
    static LET_GO: Barrier = Barrier::new(2);

    fn wait(held: &Hold<'_>) {
        held.detach(|| {
            HELD.wait();
            LET_GO.wait();
        });
    }

    /// Lets go of the interpreter with `x` borrowed.
    #[pyfunction]
    fn typed(py: Python<'_>, x: ArgMut<'_, f64>) -> PyResult<()> {
        hold(py, &[&x]).map(|held| wait(&held))
    }

    #[pyfunction]
    fn untyped(py: Python<'_>, x: Write<'_>) -> PyResult<()> {
        hold(py, &[&x]).map(|held| wait(&held))
    }

    let code = "
x = np.zeros(6)
def work(call, view):
    call(view)
";
    with_numpy(code, |py, names| {
        names.set_item("typed", wrap_pyfunction!(typed, py).unwrap()).unwrap();
        names.set_item("untyped", wrap_pyfunction!(untyped, py).unwrap()).unwrap();
        for view in ["x", "x[::-2]", "x[2:5]"] {
            for call in ["typed", "untyped"] {
                let thread = format!("threading.Thread(target=work, args=({call}, {view}))");
                run(names, &format!("thread = {thread}\nthread.start()"));
                py.detach(|| HELD.wait());
                let answer = eval(names, "x").extract::<Write<'_>>().map(drop);
                // First: whoever fails before leaves the thread waiting.
                py.detach(|| LET_GO.wait());
                run(names, "thread.join()");
                let (class, text) = refused(py, answer, view);
                assert_eq!(class, "ArgumentBufferError");
                let place =
                    "for writing by an argument of a call on another thread, in work, line ";
                assert!(text.contains(place), "{view}: {text}");
                eval(names, "x").extract::<Write<'_>>().unwrap();
            }
        }
    });
}

#[test]
fn mut_3_a_layout_that_reaches_a_byte_twice_is_read_and_not_written() {
    for code in [
        "strided(x, (4, 3), (8, 8))",
        "strided(x, (3, 2), (8, 16))",
        "strided(x, (2, 2), (0, 8))",
        "strided(x[5, 5:], (4, 3), (-8, -8))",
        "strided(x.view('u1'), (2, 2), (1, 1))",
    ] {
        with_numpy("x = np.arange(36.0).reshape(6, 6)\nbefore = x.copy()", |py, names| {
            let array = eval(names, code);
            array.extract::<Read<'_>>().unwrap();
            let (class, text) = refused(py, array.extract::<Write<'_>>(), code);
            assert_eq!(class, "ArgumentValueError", "{code}: {text}");
            let is_named = text.contains("reaches a byte twice") || text.contains("interleave");
            assert!(
                is_named && text.contains("make y = argument.copy() (copies "),
                "{code}: {text}"
            );
            run(names, "assert (x == before).all()");
        });
    }
}
