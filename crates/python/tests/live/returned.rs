//! Tensors out: as return values and in DLPack capsules.

use ndbridge_dlpack::{IS_COPIED, READ_ONLY};
use ndbridge_python::{
    DlpackForm, ToMemoryView, ToNumpy, find_by_dlpack, from_python, to_dlpack, to_dlpack_on,
    to_numpy,
};
use ndbridge_storage::Mutability;
use ndbridge_tensor::{CopyRule, DType, Request, Tensor};
use pyo3::prelude::*;

use crate::foreign::{flags_of, is_used};
use crate::{refused, run, with_numpy};

fn ramp() -> Tensor {
    Tensor::from_vec_with_shape((0..6).map(f64::from).collect(), &[2, 3]).unwrap()
}

/// Ways out, and what takes them in on NumPy's side, as `x`.
type Way =
    (&'static str, for<'py> fn(Python<'py>, &Tensor) -> PyResult<Bound<'py, PyAny>>, &'static str);

const VERSIONED: DlpackForm =
    DlpackForm { max_version: Some((1, 0)), is_copied: false, as_host: false };

const WAYS: [Way; 4] = [
    ("ToNumpy", |py, t| ToNumpy(t.clone()).into_pyobject(py), "x"),
    ("ToMemoryView", |py, t| ToMemoryView(t.clone()).into_pyobject(py), "np.asarray(x)"),
    ("versioned", |py, t| to_dlpack(py, t, VERSIONED), "np.from_dlpack(Given(x))"),
    ("legacy", |py, t| to_dlpack(py, t, DlpackForm::default()), "np.from_dlpack(Given(x))"),
];

const GIVEN: &str = "
class Given:
    def __init__(self, capsule): self.capsule = capsule
    def __dlpack__(self, **options): return self.capsule
    def __dlpack_device__(self): return (1, 0)
";

#[test]
fn shr_1_every_way_out_shares_and_shr_4_writes_are_seen() {
    with_numpy(GIVEN, |py, names| {
        for (way, out, taken) in WAYS {
            for (view, flip) in [(ramp(), ""), (ramp().transpose().unwrap(), ".T")] {
                names.set_item("x", out(py, &view).unwrap()).unwrap();
                names.set_item("address", view.as_ptr().addr()).unwrap();
                let kind = if way == "ToNumpy" { "np.ndarray" } else { "memoryview" };
                let kind = if way.starts_with("To") { kind } else { "object" };
                run(names, &format!("assert isinstance(x, {kind}), type(x)"));
                run(
                    names,
                    &format!(
                        "y = {taken}\n\
                         assert y.ctypes.data == address, {way:?}\n\
                         assert (y == np.arange(6.0).reshape(2, 3){flip}).all(), {way:?}\n\
                         if y.flags.writeable: y[0, 1] = 70.0"
                    ),
                );
                // NumPy takes what cannot say for read-only.
                let is_written = way != "legacy";
                assert_eq!(view.read::<f64>().unwrap()[[0, 1]] == 70.0, is_written, "{way}");
                view.write::<f64>().unwrap()[[1, 1]] = 80.0;
                run(names, "assert y[1, 1] == 80.0");
            }
        }
    });
}

#[test]
fn own_2_the_memory_is_freed_once_whatever_becomes_of_what_went_out() {
    with_numpy(GIVEN, |py, names| {
        for (way, out, taken) in WAYS {
            // Taken and kept by a view, taken, and never taken.
            for code in [
                format!("y = {taken}[0]\ndel x\nassert y[2] == 2.0\ndel y"),
                format!("{taken}\ndel x"),
                "del x".to_owned(),
            ] {
                let tensor = ramp();
                let storage = tensor.storage().downgrade();
                names.set_item("x", out(py, &tensor).unwrap()).unwrap();
                drop(tensor);
                assert!(storage.is_alive(), "{way}");
                run(names, &code);
                assert!(!storage.is_alive(), "{way}: {code}");
            }
            // What does not go out.
            let tensor = ramp();
            let guard = tensor.read::<f64>().unwrap();
            let (class, text) = refused(py, out(py, &tensor), way);
            assert_eq!(class, "BufferError", "{way}");
            assert!(
                text.contains("cannot lend: still borrowed for reading by Rust code ("),
                "{way}: {text}"
            );
            drop(guard);
            assert!(tensor.storage().is_unique(), "{way}");
        }
    });
}

#[test]
fn mut_2_read_only_memory_goes_out_read_only_or_not_at_all() {
    with_numpy(GIVEN, |py, names| {
        for tensor in [ramp().into_constant(), ramp().into_read_only()] {
            for (way, out, taken) in WAYS {
                if way == "legacy" {
                    let (class, text) = refused(py, out(py, &tensor), way);
                    assert_eq!(class, "BufferError");
                    assert!(text.contains("read-only"), "{text}");
                    continue;
                }
                names.set_item("x", out(py, &tensor).unwrap()).unwrap();
                run(
                    names,
                    &format!(
                        "y = {taken}\nassert not y.flags.writeable, {way:?}\n\
                         try: y.setflags(write=True)\n\
                         except ValueError: pass\n\
                         else: raise AssertionError({way:?})"
                    ),
                );
            }
        }
    });
}

#[test]
fn mut_2_the_structure_says_what_the_tensor_is() {
    with_numpy("", |py, _| {
        let form =
            |version, is_copied| DlpackForm { max_version: version, is_copied, as_host: true };
        let flags = |tensor: &Tensor, form| flags_of(&to_dlpack(py, tensor, form).unwrap());
        for (version, is_versioned) in
            [(None, false), (Some((0, 8)), false), (Some((1, 0)), true), (Some((2, 0)), true)]
        {
            assert_eq!(flags(&ramp(), form(version, false)).is_some(), is_versioned, "{version:?}");
        }
        let (constant, newest) = (ramp().into_constant(), Some((1, 0)));
        for (tensor, is_copied, expected) in [
            (&ramp(), false, 0),
            (&ramp(), true, IS_COPIED),
            (&constant, false, READ_ONLY),
            (&constant, true, READ_ONLY | IS_COPIED),
        ] {
            assert_eq!(flags(tensor, form(newest, is_copied)), Some(expected));
        }
        // Streams are of devices: the host waits by itself.
        for stream in [None, Some(-1), Some(0), Some(7)] {
            to_dlpack_on(py, &ramp(), stream, form(newest, false)).unwrap();
        }
        // Elements off their alignment have no word in DLPack.
        let bytes = Tensor::from_vec(vec![0_u8; 17]);
        let off =
            bytes.index(&[ndbridge_tensor::Index::Slice { start: Some(1), stop: None, step: 1 }]);
        let off = off.unwrap().reinterpret(DType::F64).unwrap();
        let (class, _) = refused(py, to_dlpack(py, &off, form(newest, false)), "unaligned");
        assert_eq!(class, "BufferError");
    });
}

#[test]
fn own_1_what_comes_back_is_a_view_of_the_same_storage() {
    with_numpy(GIVEN, |py, names| {
        for (way, out, taken) in WAYS {
            let tensor = ramp().transpose().unwrap();
            let object = out(py, &tensor).unwrap();
            names.set_item("x", &object).unwrap();
            let objects = if way.contains("To") {
                vec![object.clone(), crate::eval(names, taken)]
            } else {
                vec![object.clone()]
            };
            for object in objects {
                let back = from_python(&object).unwrap();
                assert!(back.storage().same_storage(tensor.storage()), "{way}");
                assert_eq!(
                    (back.shape(), back.strides()),
                    (tensor.shape(), tensor.strides()),
                    "{way}"
                );
                assert_eq!(back.mutability(), Mutability::Writable, "{way}");
            }
            assert!(way.contains("To") || is_used(&object), "{way}");
        }
    });
}

/// Read-only memory of ours stays that, whatever a consumer makes of it.
#[test]
fn mut_2_a_constant_that_comes_back_is_read_only() {
    with_numpy(GIVEN, |py, names| {
        let constant = ramp().into_constant();
        let liar = "
y = x.__array_interface__
class Liar: pass
liar = Liar()
liar.__array_interface__ = y | dict(data=(y['data'][0], False))
liar.keep = x
";
        names.set_item("x", to_numpy(py, &constant).unwrap()).unwrap();
        run(names, liar);
        let back = from_python(&crate::eval(names, "liar")).unwrap();
        assert!(back.is_read_only() && back.write::<f64>().is_err());
        let capsule = to_dlpack(py, &constant, VERSIONED).unwrap();
        let found = find_by_dlpack(&capsule).unwrap();
        let back = found.convert(&Request::new("test").with_copy(CopyRule::Never)).unwrap();
        assert!(back.is_read_only() && back.storage().same_storage(constant.storage()));
    });
}
