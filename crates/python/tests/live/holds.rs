//! Computing without the GIL: who is kept out meanwhile, and how all is put back.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use ndbridge_python::{
    AnyDType, Arg, ArgMut, Detach, DetachMut, Freeze, from_python, hold, hold_with, to_numpy,
};
use ndbridge_tensor::{Index, Tensor};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::{eval, refused, run, with_numpy};

const MADE: &str = "
warnings.simplefilter('ignore')
def flags(*arrays): return ''.join('01'[array.flags.writeable] for array in arrays)
a = np.arange(8.0)
";

fn with_arrays(code: &str, test: impl FnOnce(Python<'_>, &Bound<'_, PyDict>)) {
    with_numpy(&format!("{MADE}\n{code}"), test);
}

fn text(names: &Bound<'_, PyDict>, code: &str) -> String {
    eval(names, code).to_string()
}

const FREEZES: [Freeze; 3] = [Freeze::Nothing, Freeze::Array, Freeze::ArrayAndBases];

/// What makes `x`, the arrays asked about, and their flags in a hold of nothing, of the array, and of
/// the bases as well.
const HELD: [(&str, &str, [&str; 3]); 9] = [
    ("x = a", "x", ["1", "0", "0"]),
    ("x = a[2:]", "x, a", ["11", "01", "00"]),
    ("x = a[1:][::2]", "x, a", ["11", "01", "00"]),
    ("b = np.asarray(memoryview(a)); x = b[1:]", "x, b, a", ["111", "011", "000"]),
    ("x = strided(a, (3,), (16,))", "x, a", ["11", "01", "00"]),
    ("x = np.ndarray(8, buffer=a)", "x, a", ["11", "01", "00"]),
    ("a.setflags(write=False); x = a[2:]", "x, a", ["00", "00", "00"]),
    ("other = a[2:]; x = a[2:]", "x, other, a", ["111", "011", "010"]),
    ("x = memoryview(a)", "a", ["1", "1", "0"]),
];

#[test]
fn mut_7_the_array_that_was_passed_is_frozen_and_its_bases_only_if_asked_for() {
    for (made, arrays, expected) in HELD {
        for (freeze, expected) in FREEZES.into_iter().zip(expected) {
            with_arrays(made, |py, names| {
                let flags = || text(names, &format!("flags({arrays}) + str(a.flags.owndata)"));
                let before = flags();
                let arg: Arg<'_, f64> = eval(names, "x").extract().unwrap();
                let held = hold_with(py, freeze, &[&arg]).unwrap();
                assert!(flags().starts_with(expected), "{made}, {freeze:?}: {}", flags());
                drop(held);
                drop(arg);
                assert_eq!(flags(), before, "{made}, {freeze:?}, after");
            });
        }
    }
}

#[test]
fn mut_7_tensors_and_guards_hold_the_array_that_they_are_all_of() {
    for (code, is_whole) in [("a", true), ("a[2:]", false), ("memoryview(a)", false)] {
        with_arrays("", |py, names| {
            let tensor = from_python(&eval(names, code)).unwrap();
            let part =
                tensor.index(&[Index::Slice { start: Some(1), stop: None, step: 1 }]).unwrap();
            let is_array = code == "a";
            let held = hold(py, &[&tensor]).unwrap();
            let frozen = text(names, "flags(a)");
            drop(held);
            assert_eq!(frozen, if is_array && is_whole { "0" } else { "1" }, "{code}");
            let held = hold(py, &[&part]).unwrap();
            assert_eq!(text(names, "flags(a)"), "1", "a part of the array is a view of it");
            drop(held);
            let guard = tensor.read::<f64>().unwrap();
            let held = hold(py, &[&guard]).unwrap();
            assert_eq!(text(names, "flags(a)"), frozen, "{code}");
            drop(held);
            assert_eq!(text(names, "flags(a)"), "1");
        });
    }
}

#[test]
fn mut_7_detach_lets_go_of_the_interpreter_and_puts_the_flags_back() {
    with_arrays("", |py, names| {
        let mut arg: ArgMut<'_, f64> = eval(names, "a").extract().unwrap();
        let flag = || {
            Python::attach(|py| {
                let x = py.import("gc");
                x.is_ok()
            })
        };
        let is_free = arg
            .detach_mut(py, |view| {
                view[[0]] = 70.0;
                // Whoever needs the interpreter gets it.
                std::thread::scope(|scope| scope.spawn(flag).join().unwrap())
            })
            .unwrap();
        assert!(is_free);
        let sum = arg.detach(py, |view| view.sum()).unwrap();
        assert_eq!(sum, 98.0);
        drop(arg);
        run(names, "assert flags(a) == '1' and a[0] == 70.0\na.resize(20, refcheck=False)");
    });
}

/// What NumPy writes in a hold, from another thread, is refused there.
#[test]
fn mut_7_numpys_writers_on_other_threads_are_kept_out() {
    let code = "
raised = []
def write(target):
    try: target[0] = 100.0
    except ValueError as error: raised.append(str(error))
    else: raised.append('wrote')
view = a[1:]
";
    for (freeze, expected) in
        FREEZES.into_iter().zip([["wrote"; 2], ["read-only", "wrote"], ["read-only"; 2]])
    {
        with_arrays(code, |py, names| {
            let arg: Arg<'_, f64> = eval(names, "view").extract().unwrap();
            let write = eval(names, "write").unbind();
            let targets = [eval(names, "view").unbind(), eval(names, "a").unbind()];
            let call = || {
                Python::attach(|py| {
                    for target in &targets {
                        write.call1(py, (target,)).unwrap();
                    }
                })
            };
            arg.detach_with(py, freeze, |_| {
                std::thread::scope(|scope| scope.spawn(call).join().unwrap())
            })
            .unwrap();
            let raised: Vec<String> = eval(names, "raised").extract().unwrap();
            for (raised, expected) in raised.iter().zip(expected) {
                assert!(raised.contains(expected), "{freeze:?}: {raised}");
            }
            assert_eq!(raised.len(), 2);
            drop(arg);
            run(names, "write(view); write(a)\nassert raised[2:] == ['wrote'] * 2");
        });
    }
}

#[test]
fn mut_7_flags_come_back_after_panics_and_errors() {
    with_arrays("", |py, names| {
        let arg: Arg<'_, f64> = eval(names, "a[1:]").extract().unwrap();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            arg.detach_with(py, Freeze::ArrayAndBases, |_| -> () {
                resume_unwind(Box::new("on purpose"))
            })
        }));
        assert!(ended.is_err());
        assert_eq!(text(names, "flags(a)"), "1");
        let answer: PyResult<()> = arg.detach(py, |_| Err(PyKeyError::new_err("mine"))).unwrap();
        assert!(answer.is_err());
        drop(arg);
        run(names, "assert flags(a) == '1' and a.flags.owndata\na[0] = 1.0");
        eval(names, "a").extract::<ArgMut<'_, f64>>().unwrap();
    });
}

#[test]
fn mut_7_holds_that_overlap_end_in_any_order() {
    for is_first in [true, false] {
        with_arrays("view = a[2:]", |py, names| {
            let whole: Arg<'_, f64> = eval(names, "a").extract().unwrap();
            let part: Arg<'_, f64> = eval(names, "view").extract().unwrap();
            let one = hold_with(py, Freeze::ArrayAndBases, &[&whole]).unwrap();
            let two = hold_with(py, Freeze::ArrayAndBases, &[&part]).unwrap();
            let (early, late) = if is_first { (one, two) } else { (two, one) };
            drop(early);
            assert_eq!(text(names, "flags(a)"), "0", "{is_first}");
            drop(late);
            assert_eq!(text(names, "flags(a, view)"), "11", "{is_first}");
        });
    }
    // Two lenders of one hold, one array.
    with_arrays("", |py, names| {
        let (one, two): (Arg<'_, f64>, Arg<'_, f64>) =
            (eval(names, "a").extract().unwrap(), eval(names, "a").extract().unwrap());
        let held = hold(py, &[&one, &two]).unwrap();
        assert_eq!(text(names, "flags(a)"), "0");
        drop(held);
        assert_eq!(text(names, "flags(a)"), "1");
    });
}

/// The ledger is asked before any flag: a held array that is read may be read, and not be written,
/// though its flag says read-only to both.
#[test]
fn mut_7_whether_it_is_borrowed_says_the_ledger_alone() {
    with_arrays("", |py, names| {
        let a = eval(names, "a");
        let reading: Arg<'_, f64> = a.extract().unwrap();
        let held = hold(py, &[&reading]).unwrap();
        a.extract::<Arg<'_, f64>>().unwrap();
        let (class, text) = refused(py, a.extract::<ArgMut<'_, f64>>(), "held");
        assert_eq!(class, "ArgumentBufferError", "{text}");
        let kept = from_python(&a).unwrap();
        assert!(!kept.is_read_only(), "as it was before the hold");
        assert!(kept.write::<f64>().is_err(), "borrowed");
        drop(held);
        // Held by another argument that wrote: nothing was borrowed any more.
        drop(reading);
        kept.write::<f64>().unwrap()[[0]] = 5.0;
        run(names, "assert a[0] == 5.0");
    });
    // Writers of other rows go on, though this one is held.
    with_arrays("m = np.zeros((2, 3)); first, second = m", |py, names| {
        let mut first: ArgMut<'_, f64> = eval(names, "first").extract().unwrap();
        let second = eval(names, "second").unbind();
        let write = || {
            Python::attach(|py| {
                let mut second: ArgMut<'_, f64> = second.bind(py).extract().unwrap();
                second.detach_mut(py, |view| view.fill(2.0)).unwrap();
            })
        };
        first
            .detach_mut(py, |view| {
                view.fill(1.0);
                std::thread::scope(|scope| scope.spawn(write).join().unwrap());
            })
            .unwrap();
        drop(first);
        run(
            names,
            "assert m.tolist() == [[1.0] * 3, [2.0] * 3] and flags(m, first, second) == '111'",
        );
    });
}

const OTHERS: &str = "other arrays over the memory, if there are any";

#[test]
fn mut_7_what_cannot_be_kept_out_is_told() {
    let all = "the array, and other arrays over its memory";
    let views = "other views of the array, if there are any";
    let behind = "writers of the <class 'bytearray'> behind the array";
    let interface = "writers of the <class 'Interface'> behind the array";
    let cases: [(&str, [&[&str]; 3]); 6] = [
        ("a", [&[all], &[OTHERS], &[views]]),
        ("np.frombuffer(bytes(16))", [&[], &[], &[]]),
        ("bytearray(8)", [&[all, behind], &[OTHERS, behind], &[views, behind]]),
        ("memoryview(a)", [&[all], &[OTHERS], &[views]]),
        ("Dlpack(a)", [&["the library of <class 'Dlpack'>"]; 3]),
        ("Interface(a)", [&[all, interface], &[OTHERS, interface], &[views, interface]]),
    ];
    with_arrays("", |py, names| {
        for (code, expected) in cases {
            let object = eval(names, code);
            for (freeze, expected) in FREEZES.into_iter().zip(expected) {
                let arg: Arg<'_, AnyDType> = object.extract().unwrap();
                let held = hold_with(py, freeze, &[&arg]).unwrap();
                let found = held.unblocked();
                let case = format!("{code}, {freeze:?}: {found:?}");
                assert_eq!(found.len(), expected.len(), "{case}");
                assert!(
                    found.iter().zip(expected).all(|(found, expected)| found.contains(expected)),
                    "{case}"
                );
            }
        }
        // Memory of ours: nobody, until it goes out.
        let ours = Tensor::from_vec(vec![1.0_f64]);
        assert!(hold(py, &[&ours]).unwrap().unblocked().is_empty());
        to_numpy(py, &ours).unwrap();
        assert_eq!(
            hold(py, &[&ours]).unwrap().unblocked(),
            ["arrays made of the tensor, if there are any"]
        );
    });
}

#[test]
fn own_2_a_hold_leaves_nothing_behind() {
    let code = "class Sub(np.ndarray): pass\ns, gone = a.view(Sub), []\nweakref.finalize(s, gone.append, 1)";
    with_arrays(code, |py, names| {
        let arg: Arg<'_, f64> = eval(names, "s").extract().unwrap();
        for freeze in FREEZES {
            drop(hold_with(py, freeze, &[&arg, &arg]).unwrap());
        }
        run(names, "del s\nassert not gone");
        drop(arg);
        run(names, "assert gone == [1]");
    });
}
