//! Arrays that are read-only while they are held.

use ndbridge_interpreter::join_ledger;
use ndbridge_numpy::python::api::{NumpyApi, WRITEABLE};
use ndbridge_numpy::python::frozen::{Frozen, is_writable};
use ndbridge_numpy::python::{array::describe_again, frozen::Noted, frozen::Thread};
use ndbridge_storage::Mutability;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::{eval, raised, run, with_numpy};

/// NumPy's flag, as it is.
fn flag(array: &Bound<'_, PyAny>) -> bool {
    NumpyApi::get(array.py()).unwrap().array_of(array).unwrap().flags & WRITEABLE != 0
}

/// What the array's user lets be done.
fn may_be_written(array: &Bound<'_, PyAny>) -> bool {
    // SAFETY: a live ndarray, attached.
    unsafe { is_writable(array.as_ptr().cast()) }
}

fn freeze<'py>(array: &Bound<'py, PyAny>) -> Option<Frozen<'py>> {
    Frozen::new(NumpyApi::get(array.py()).unwrap(), array)
}

fn with_array(test: impl FnOnce(&Bound<'_, PyDict>, &Bound<'_, PyAny>)) {
    with_numpy("warnings.simplefilter('ignore')\na = np.arange(6.0)", |py, names| {
        join_ledger(py).unwrap();
        test(names, &eval(names, "a"));
    });
}

/// The table at the head of `frozen.rs`, column by column, for one hold and for two.
#[test]
fn mut_7_the_users_last_word_holds_and_nothing_else_changes() {
    for (said, flag_then, flag_after) in [
        ("pass", false, true),
        ("a.setflags(write=False)", false, false),
        ("a.setflags(write=True)", true, true),
        ("a.setflags(write=True); a.setflags(write=False)", false, false),
        ("a.setflags(write=False); a.setflags(write=True)", true, true),
    ] {
        for holds in [1, 2] {
            with_array(|names, array| {
                assert!(flag(array));
                let mut held: Vec<_> = (0..holds).map(|_| freeze(array).unwrap()).collect();
                assert!(!flag(array) && may_be_written(array), "held");
                run(names, said);
                assert_eq!(flag(array), flag_then, "{said}");
                assert_eq!(may_be_written(array), flag_after, "{said}, held");
                while held.pop().is_some() {
                    let expected = if held.is_empty() { flag_after } else { flag_then };
                    assert_eq!(flag(array), expected, "{said}, {} left", held.len());
                }
                assert_eq!(may_be_written(array), flag_after, "{said}");
                run(names, if flag_after { "a[0] = 7.0" } else { "assert not a.flags.writeable" });
            });
        }
    }
}

#[test]
fn mut_7_numpys_writers_are_kept_out_of_a_held_array() {
    with_array(|names, array| {
        let held = freeze(array).unwrap();
        for code in [
            "a.__setitem__(0, 1.0)",
            "a.fill(1.0)",
            "a.sort()",
            "np.add(a, 1, out=a)",
            "a.partition(1)",
        ] {
            let (class, text) = raised(names, code);
            assert_eq!(class, "ValueError", "{code}");
            assert!(text.contains("read-only") || text.contains("not writeable"), "{code}: {text}");
        }
        run(names, "assert a.sum() == 15.0");
        drop(held);
        run(names, "a.fill(1.0)");
    });
}

#[test]
fn mut_7_what_is_made_of_a_held_array_is_as_writable_as_it_was() {
    with_array(|names, array| {
        let held = freeze(array).unwrap();
        assert_eq!(describe_again(array).unwrap().mutability, Mutability::Writable);
        // NumPy copies the flag, and the mark with it, which alone says nothing.
        run(names, "view = a[1:]");
        let view = eval(names, "view");
        assert_eq!(describe_again(&view).unwrap().mutability, Mutability::ReadOnly);
        drop(held);
        assert!(flag(array) && !flag(&view));
        run(names, "view.setflags(write=True)\nview[0] = 9.0\nassert a[1] == 9.0");
    });
}

#[test]
fn mut_7_an_array_that_its_user_locked_is_left_alone() {
    with_array(|names, array| {
        run(names, "a.setflags(write=False)");
        assert!(freeze(array).is_none());
        assert!(!flag(array) && !may_be_written(array));
        run(names, "a.setflags(write=True)");
        // NumPy marks these itself, to warn of writes.
        run(names, "marked = np.broadcast_arrays(np.arange(3.0), np.zeros((2, 1)))[0]");
        let marked = eval(names, "marked");
        let before = NumpyApi::get(array.py()).unwrap().array_of(&marked).unwrap().flags;
        assert!(freeze(&marked).is_none());
        let after = NumpyApi::get(array.py()).unwrap().array_of(&marked).unwrap().flags;
        assert_eq!(before, after);
        // And what is no array at all.
        assert!(freeze(&eval(names, "[1.0]")).is_none());
    });
}

#[test]
fn own_2_a_hold_keeps_its_array_and_lets_it_go() {
    with_array(|names, array| {
        run(
            names,
            "class Sub(np.ndarray): pass\ns, ended = a.view(Sub), []\nweakref.finalize(s, ended.append, 1)",
        );
        let held = freeze(&eval(names, "s"));
        assert!(held.is_some());
        run(names, "del s\nassert not ended");
        drop(held);
        run(names, "assert ended == [1]");
        assert!(flag(array));
    });
}

#[test]
fn mut_1_a_thread_is_known_by_the_bytes_that_it_lends() {
    with_array(|names, array| {
        let _ = (names, array);
        let py = array.py();
        let bytes = 0x5000..0x5040;
        assert!(Thread::that_lends(&bytes).is_none());
        let _own = Noted::lent(bytes.clone());
        assert!(Thread::that_lends(&bytes).is_none(), "this thread itself");
        py.detach(|| {
            let (noted, asked) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
            std::thread::scope(|scope| {
                let other = scope.spawn(|| {
                    let _noted = Noted::lent(bytes.clone());
                    noted.wait();
                    asked.wait();
                    Thread::this().0
                });
                noted.wait();
                let found = Thread::that_lends(&bytes).map(|thread| thread.0);
                let another = Thread::that_lends(&(0x5000..0x5048)).is_none();
                asked.wait();
                assert_eq!(found, Some(other.join().unwrap()));
                assert!(another, "other bytes");
            });
        });
        assert!(Thread::that_lends(&bytes).is_none(), "over");
    });
}
