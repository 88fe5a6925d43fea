//! Memory that does not hold the values: torch's lazy bits, of a torch that the test brings along.

use ndbridge_python::{AnyDType, AnyShape, find, from_python};
use pyo3::prelude::*;

use crate::alone::alone;
use crate::{copy, eval, read, refused, run, with_numpy, write};

/// The part of torch that is asked. Its tensors lend NumPy's memory by DLPack.
const TORCH: &str = "
import sys, types
class UntypedStorage:
    def __init__(self, array): self.array = array
    def resizable(self): return False
    def data_ptr(self): return self.array.ctypes.data
    def nbytes(self): return self.array.nbytes
class Tensor:
    requires_grad, is_cpu, layout, device = False, True, 'torch.strided', 'cpu'
    def __init__(self, array, **bits):
        self.array, self.bits, self.asked = array, bits, 0
        self.storage, self.requires_grad = UntypedStorage(array), bits.get('requires_grad', False)
    def is_neg(self): return self.bits.get('neg', False)
    def is_conj(self): return self.bits.get('conj', False)
    def untyped_storage(self): return self.storage
    def numpy(self): return self.array
    def __dlpack_device__(self): return (1, 0)
    def __dlpack__(self, **options):
        self.asked += 1
        return self.array.__dlpack__(**options)
sys.modules['torch'] = types.SimpleNamespace(Tensor=Tensor, UntypedStorage=UntypedStorage)
a = np.arange(6.0)
";

#[test]
fn mut_6_lazy_bits_are_refused_on_every_path_with_the_call_that_resolves_them() {
    type Take = (&'static str, fn(&Bound<'_, PyAny>) -> PyResult<()>);
    const TAKES: [Take; 5] = [
        ("from_python", |x| from_python(x).map(drop)),
        ("find", |x| find(x).map(drop)),
        ("Arg", read::<AnyDType, AnyShape, ()>),
        ("ArgMut", write::<AnyDType, AnyShape, ()>),
        ("ArgCow", copy::<f64, AnyShape, ()>),
    ];
    alone(
        "lazy::mut_6_lazy_bits_are_refused_on_every_path_with_the_call_that_resolves_them",
        || {
            with_numpy(TORCH, |py, names| {
                for (code, expected) in [
                    ("conj=True", ".resolve_conj() (copies)"),
                    ("neg=True", ".resolve_neg() (copies)"),
                    ("requires_grad=True", ".detach() (shares)"),
                    ("neg=None", ".resolve_neg() (copies)"), // whatever is not False
                ] {
                    names.set_item("x", eval(names, &format!("Tensor(a, {code})"))).unwrap();
                    for (call, take) in TAKES {
                        let (class, text) = refused(py, take(&eval(names, "x")), call);
                        assert!(class.ends_with("BufferError"), "{code}, {call}: {class}");
                        let of_written = expected.replace(" (shares)", "").replace(" (copies)", "");
                        let expected = if call == "ArgMut" { &of_written } else { expected };
                        assert!(text.contains(expected), "{code}, {call}: {text}");
                    }
                    run(names, "assert x.asked == 0, 'before its memory was looked at'");
                }
                // The bits gone, it is shared; the memory may be written as far as the producer says.
                names.set_item("x", eval(names, "Tensor(a)")).unwrap();
                let tensor = from_python(&eval(names, "x")).unwrap();
                tensor.write::<f64>().unwrap()[[0]] = 7.0;
                run(names, "assert a[0] == 7.0");
                drop(tensor);
                for (call, take) in TAKES {
                    take(&eval(names, "x")).unwrap_or_else(|error| panic!("{call}: {error}"));
                }
            });
        },
    );
}

#[test]
fn own_5_a_storage_that_is_not_kept_or_too_small_is_refused() {
    alone("lazy::own_5_a_storage_that_is_not_kept_or_too_small_is_refused", || {
        with_numpy(TORCH, |py, names| {
            // Its tensors reach past what is left of it.
            run(names, "x = Tensor(a)\nx.storage = UntypedStorage(a[:3])");
            let (class, text) = refused(py, from_python(&eval(names, "x")), "small");
            assert_eq!(class, "BufferError");
            assert!(text.contains("reaches past its storage of 24 B"), "{text}");
            // torch put other memory into it, and freed the former.
            run(names, "x = Tensor(a)");
            let tensor = from_python(&eval(names, "x")).unwrap();
            assert!(tensor.read::<f64>().is_ok());
            run(names, "x.storage.array = a.copy()");
            let error = tensor.read::<f64>().unwrap_err().to_string();
            assert!(error.contains("import the tensor again"), "{error}");
        });
    });
}
