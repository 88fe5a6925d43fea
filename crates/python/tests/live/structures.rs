//! DLPack structures in: shared, or refused; deleted once, whatever comes.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use ndbridge_dlpack::{DlTensor, IS_COPIED, READ_ONLY};
use ndbridge_interpreter::give_up_parked;
use ndbridge_python::{AnyDType, AnyShape, Arg, ArgCow, find, find_by_dlpack, from_python};
use ndbridge_storage::Mutability;
use pyo3::prelude::*;

use crate::foreign::{Watch, is_used, lend};
use crate::{copy, eval, read, refused, run, with_numpy, write};

/// An object that gives out `capsule`, and counts how often it is asked and with what.
const PRODUCER: &str = "
class Producer:
    asked = ()
    def __init__(self, capsule, device=(1, 0)): self.capsule, self.device = capsule, device
    def __dlpack_device__(self): return self.device
    def __dlpack__(self, **options):
        self.asked += (options,)
        return self.capsule
class Old(Producer):
    def __dlpack__(self, stream=None):
        self.asked += (stream,)
        return self.capsule
class Raising(Producer):
    def __dlpack__(self, **options): raise ZeroDivisionError('mine')
";

#[test]
fn shr_1_every_form_is_shared_and_deleted_when_the_last_tensor_is_gone() {
    with_numpy(PRODUCER, |py, names| {
        for (version, flags, mutability) in [
            (None, 0, Mutability::Unknown),
            (Some((1, 0)), 0, Mutability::Writable),
            (Some((1, 3)), IS_COPIED, Mutability::Writable),
            (Some((1, 0)), READ_ONLY, Mutability::ReadOnly),
            (Some((1, 99)), READ_ONLY | IS_COPIED, Mutability::ReadOnly),
        ] {
            for wrapped in [None, Some("Producer"), Some("Old")] {
                let case = format!("{version:?} {flags} {wrapped:?}");
                let (capsule, watch) = lend(py, version, flags, |_| ());
                let object = match wrapped {
                    None => capsule.clone(),
                    Some(class) => eval(names, class).call1((&capsule,)).unwrap(),
                };
                let tensor = from_python(&object).unwrap();
                assert!(is_used(&capsule), "{case}");
                assert_eq!(tensor.as_ptr().addr(), watch.address(), "{case}");
                assert_eq!(tensor.mutability(), mutability, "{case}");
                assert_eq!(tensor.to_vec::<f64>().unwrap(), [0.0, 1.0, 2.0], "{case}");
                let view = tensor.flip(&[0]).unwrap();
                drop((tensor, object, capsule));
                assert_eq!(watch.deletions(), 0, "{case}");
                drop(view);
                assert_eq!(watch.deletions(), 1, "{case}");
            }
        }
    });
}

#[test]
fn shr_1_a_producer_is_asked_for_a_version_and_then_without() {
    with_numpy(PRODUCER, |py, names| {
        for (class, expected) in [("Producer", "({'max_version': (1, 3)},)"), ("Old", "(None,)")] {
            let (capsule, watch) = lend(py, None, 0, |_| ());
            let object = eval(names, class).call1((capsule,)).unwrap();
            drop(from_python(&object).unwrap());
            let asked = object.getattr("asked").unwrap();
            assert!(asked.eq(eval(names, expected)).unwrap(), "{class}: {asked}");
            assert_eq!(watch.deletions(), 1);
        }
        let raising = eval(names, "Raising(None)");
        let (class, text) = refused(py, from_python(&raising), "raising");
        assert_eq!((class.as_str(), text.as_str()), ("ZeroDivisionError", "mine"));
    });
}

#[test]
fn own_2_a_capsule_is_taken_once() {
    with_numpy(PRODUCER, |py, names| {
        let (capsule, watch) = lend(py, Some((1, 0)), 0, |_| ());
        let tensor = from_python(&capsule).unwrap();
        for object in [capsule.clone(), eval(names, "Producer").call1((&capsule,)).unwrap()] {
            let (class, text) = refused(py, from_python(&object), "used");
            assert_eq!(class, "BufferError");
            assert!(text.contains("or was used already"), "{text}");
        }
        drop(capsule);
        assert_eq!(watch.deletions(), 0);
        drop(tensor);
        assert_eq!(watch.deletions(), 1);
        // What nobody took is the capsule's own to delete.
        let (capsule, watch) = lend(py, None, 0, |_| ());
        drop(capsule);
        assert_eq!(watch.deletions(), 1);
        for code in ["Producer(None)", "Producer([1.0])"] {
            let (class, text) = refused(py, from_python(&eval(names, code)), code);
            assert_eq!(class, "BufferError");
            assert!(text.ends_with("got no capsule"), "{text}");
        }
        let other = eval(names, "__import__('datetime').datetime_CAPI");
        let (class, text) = refused(py, from_python(&other), "another capsule");
        assert_eq!(class, "BufferError");
        assert!(text.contains("a capsule that holds no DLPack tensor"), "{text}");
    });
}

type Edit = fn(&mut DlTensor);

/// There is never any memory in the first page: whoever reads it ends the process.
const NOWHERE: *mut std::ffi::c_void = std::ptr::without_provenance_mut(0x100);

/// What is wrong with a header, the class of the refusal and a word of it.
const WRONG: [(&str, Edit, &str, &str); 13] = [
    ("bits", |tensor| tensor.dtype.bits = 7, "TypeError", ""),
    ("lanes", |tensor| tensor.dtype.lanes = 2, "TypeError", ""),
    ("code", |tensor| tensor.dtype.code = 99, "TypeError", ""),
    ("device", |tensor| tensor.device.kind = 77, "TypeError", "77"),
    ("ROCm", |tensor| tensor.device.kind = 10, "TypeError", "not host memory"),
    ("CUDA", |tensor| tensor.device.kind = 2, "TypeError", "cuda:0 is not host memory"),
    ("negative ndim", |tensor| tensor.ndim = -1, "", "axes"),
    ("65 axes", |tensor| tensor.ndim = 65, "", "axes"),
    ("no shape", |tensor| tensor.shape = std::ptr::null_mut(), "", ""),
    ("null", |tensor| tensor.data = std::ptr::null_mut(), "", "without memory"),
    ("offset", |tensor| tensor.byte_offset = 1 << 62, "", ""),
    (
        "end of memory",
        |tensor| tensor.data = std::ptr::without_provenance_mut(usize::MAX - 8),
        "",
        "",
    ),
    (
        "huge offset from nowhere",
        |tensor| (tensor.data, tensor.byte_offset) = (NOWHERE, 1 << 63),
        "",
        "",
    ),
];

#[test]
fn own_2_structures_that_no_memory_can_have_are_deleted_once_unread() {
    type Take = (&'static str, fn(&Bound<'_, PyAny>) -> PyResult<()>);
    const TAKES: [Take; 5] = [
        ("from_python", |x| from_python(x).map(drop)),
        ("find_by_dlpack", |x| find_by_dlpack(x).map(drop)),
        ("Arg", read::<AnyDType, AnyShape, ()>),
        ("ArgMut", write::<AnyDType, AnyShape, ()>),
        ("ArgCow", copy::<f64, AnyShape, ()>),
    ];
    with_numpy(PRODUCER, |py, _| {
        for (what, edit, expected_class, expected) in WRONG {
            for version in [None, Some((1, 0)), Some((1, 3))] {
                for (call, take) in TAKES {
                    let case = format!("{what} {version:?} {call}");
                    let (capsule, watch) = lend(py, version, 0, edit);
                    let (class, text) = refused(py, take(&capsule), &case);
                    let is_right = match expected_class {
                        "" => {
                            ["BufferError", "ValueError"].iter().any(|name| class.ends_with(name))
                        }
                        name => class.ends_with(name),
                    };
                    assert!(is_right && text.contains(expected), "{case}: {class}: {text}");
                    drop(capsule);
                    assert_eq!(watch.deletions(), 1, "{case}");
                }
            }
        }
        for version in [(0, 9), (2, 0), (u32::MAX, 0)] {
            let (capsule, watch) = lend(py, Some(version), 0, |_| ());
            let (class, text) = refused(py, from_python(&capsule), "version");
            assert_eq!(class, "BufferError", "{text}");
            drop(capsule);
            assert_eq!(watch.deletions(), 1, "{version:?}");
        }
    });
}

/// Ways for an argument to end; each deletes what was made for it once.
#[test]
fn own_2_an_arguments_structure_is_deleted_however_the_call_ends() {
    type Way = (&'static str, fn(&Bound<'_, PyAny>, &Watch));
    const WAYS: [Way; 7] = [
        ("read", |x, watch| {
            let arg = x.extract::<Arg<'_, f64>>().unwrap();
            assert_eq!((arg.as_ptr().addr(), watch.deletions()), (watch.address(), 0));
        }),
        ("not as asked for", |x, _| {
            refused(x.py(), x.extract::<Arg<'_, f32>>(), "dtype");
        }),
        ("not writable", |x, _| {
            refused(x.py(), write::<f64, AnyShape, ()>(x), "unknown");
        }),
        ("copied", |x, watch| {
            let arg = x.extract::<ArgCow<'_, f32>>().unwrap();
            assert_eq!(watch.deletions(), 1, "the copy needs it no more");
            assert_eq!(arg.iter().copied().collect::<Vec<_>>(), [0.0, 1.0, 2.0]);
        }),
        ("kept", |x, watch| {
            let tensor = from_python(x).unwrap();
            assert_eq!(watch.deletions(), 0);
            // On a thread that Python does not know.
            x.py().detach(|| std::thread::spawn(move || drop(tensor)).join().unwrap());
            give_up_parked(x.py());
        }),
        ("found and not used", |x, _| drop(find(x).unwrap().unwrap())),
        ("panic", |x, _| {
            let ended = catch_unwind(AssertUnwindSafe(|| {
                let _arg = x.extract::<Arg<'_, f64>>().unwrap();
                resume_unwind(Box::new(()));
            }));
            assert!(ended.is_err());
        }),
    ];
    with_numpy(PRODUCER, |py, names| {
        run(names, "live = []");
        for (way, take) in WAYS {
            let (capsule, watch) = lend(py, None, 0, |_| ());
            let object = eval(names, "Producer").call1((capsule,)).unwrap();
            names.set_item("object", &object).unwrap();
            run(names, "gone = []\nweakref.finalize(object, gone.append, 1)\ndel object");
            take(&object, &watch);
            assert_eq!(watch.deletions(), 1, "{way}");
            drop(object);
            run(names, "assert gone == [1], gone");
        }
    });
}
