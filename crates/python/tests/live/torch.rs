//! Tensors of torch itself, where it is installed.

use std::io::Write as _;

use ndbridge_python::{AnyDType, AnyShape, Arg, ArgMut, Detach, ToTorch, from_python};
use ndbridge_tensor::Tensor;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::{copy, eval, read, refused, run, with_numpy, write};

/// Where `NDBRIDGE_TEST_PEERS` is set, torch has to be there.
fn with_torch(test: &str, body: impl FnOnce(Python<'_>, &Bound<'_, PyDict>)) {
    with_numpy("import importlib.util\nfound = importlib.util.find_spec('torch')", |py, names| {
        if eval(names, "found").is_none() {
            assert!(std::env::var_os("NDBRIDGE_TEST_PEERS").is_none(), "torch is not installed");
            // Past the harness, which keeps what passing tests print.
            let text = format!("skipped, torch is not installed: {test}\n");
            std::io::stderr().write_all(text.as_bytes()).unwrap();
            return;
        }
        run(names, "import torch\nt = torch.arange(6.0, dtype=torch.float64).reshape(2, 3)");
        body(py, names);
    });
}

#[test]
fn shr_1_tensors_are_read_and_written_where_they_lie() {
    with_torch("shr_1_tensors_are_read_and_written_where_they_lie", |_, names| {
        for code in [
            "t",
            "t.T",
            "t[:, ::2]",
            "t[1, 2]",
            "t[:0]",
            "torch.nn.Parameter(t, requires_grad=False)",
        ] {
            let tensor = eval(names, code);
            let address: usize = tensor.call_method0("data_ptr").unwrap().extract().unwrap();
            let values: Vec<f64> =
                eval(names, &format!("({code}).flatten().tolist()")).extract().unwrap();
            let arg: Arg<'_, f64> = tensor.extract().unwrap();
            assert!(arg.is_empty() || arg.as_ptr().addr() == address, "{code}");
            assert_eq!(arg.iter().copied().collect::<Vec<_>>(), values, "{code}");
            let kept = from_python(&tensor).unwrap();
            assert!(kept.is_empty() || kept.as_ptr().addr() == address, "{code}");
        }
        let mut arg: ArgMut<'_, f64> = eval(names, "t").extract().unwrap();
        arg[[0, 0]] = 7.0;
        drop(arg);
        run(names, "assert t[0, 0] == 7.0");
    });
}

#[test]
fn mut_6_lazy_tensors_are_refused_with_the_call_that_resolves_them() {
    type Take = fn(&Bound<'_, PyAny>) -> PyResult<()>;
    const TAKES: [Take; 4] = [
        |x| from_python(x).map(drop),
        read::<AnyDType, AnyShape, ()>,
        write::<AnyDType, AnyShape, ()>,
        copy::<f64, AnyShape, ()>,
    ];
    with_torch("mut_6_lazy_tensors_are_refused_with_the_call_that_resolves_them", |py, names| {
        run(names, "c = torch.tensor([1 + 2j, 3 - 1j])");
        for (code, expected) in [
            ("c.conj()", "resolve_conj()"),
            ("c[1:].conj()", "resolve_conj()"),
            ("c.conj().imag", "resolve_neg()"),
            ("torch.ones(2, requires_grad=True)", "detach()"),
            ("torch.ones(2, requires_grad=True) * 2", "detach()"),
            ("torch.nn.Parameter(torch.ones(2))", "detach()"),
        ] {
            for take in TAKES {
                let (class, text) = refused(py, take(&eval(names, code)), code);
                assert!(class.ends_with("BufferError"), "{code}: {class}");
                assert!(text.contains(expected), "{code}: {text}");
            }
            let resolved = eval(names, &format!("({code}).{expected}"));
            from_python(&resolved).unwrap();
        }
        for code in [
            "torch.ones(2).to_sparse()",
            "torch.ones(2, device='meta')",
            "torch._efficientzerotensor((2,))",
        ] {
            let (class, text) = refused(py, from_python(&eval(names, code)), code);
            assert_eq!(class, "BufferError");
            assert!(text.contains("no plain host memory"), "{code}: {text}");
        }
    });
}

#[test]
fn own_5_a_storage_is_not_resized_and_what_torch_frees_is_not_read() {
    with_torch("own_5_a_storage_is_not_resized_and_what_torch_frees_is_not_read", |py, names| {
        let arg: Arg<'_, f64> = eval(names, "t").extract().unwrap();
        let (class, _) =
            refused(py, py.eval(c"t.untyped_storage().resize_(0)", Some(names), None), "resize_");
        assert_eq!(class, "RuntimeError");
        let resize = eval(names, "t.untyped_storage").unbind();
        let resize = || Python::attach(|py| resize.call0(py)?.call_method1(py, "resize_", (0,)));
        assert!(arg.detach(py, |_| resize()).unwrap().is_err(), "nor while it is computed with");
        assert_eq!(arg[[1, 2]], 5.0);
        drop(arg);
        let kept = from_python(&eval(names, "t")).unwrap();
        run(names, "t.data = torch.zeros(2, 3, dtype=torch.float64)");
        assert_eq!(kept.to_vec::<f64>().unwrap()[5], 5.0, "the former storage is kept");
        run(names, "s = torch.arange(3.0)");
        let shared = from_python(&eval(names, "s")).unwrap();
        run(names, "s.share_memory_()");
        let error = shared.read::<f32>().unwrap_err().to_string();
        assert!(error.contains("import the tensor again"), "{error}");
    });
}

#[test]
fn shr_4_a_returned_tensor_is_shared_and_mut_2_read_only_memory_refused() {
    with_torch(
        "shr_4_a_returned_tensor_is_shared_and_mut_2_read_only_memory_refused",
        |py, names| {
            let ours = Tensor::from_vec(vec![1.0_f32, 2.0]);
            let storage = ours.storage().downgrade();
            names.set_item("x", ToTorch(ours.clone()).into_pyobject(py).unwrap()).unwrap();
            run(names, "x[0] = 5.0");
            assert_eq!(ours.to_vec::<f32>().unwrap(), [5.0, 2.0]);
            let back = from_python(&eval(names, "x")).unwrap();
            assert!(back.storage().same_storage(ours.storage()));
            drop((ours, back));
            run(names, "assert x.tolist() == [5.0, 2.0]\ndel x");
            assert!(!storage.is_alive());
            for (tensor, expected) in [
                (Tensor::from_vec(vec![1.0_f32]).into_constant(), "call clone().torch() (copies)"),
                (
                    Tensor::from_vec(vec![1.0_f32, 2.0]).flip(&[0]).unwrap(),
                    "call contiguous().torch() (copies)",
                ),
            ] {
                let (class, text) = refused(py, ToTorch(tensor).into_pyobject(py), expected);
                assert_eq!(class, "BufferError");
                assert!(text.contains(expected), "{text}");
            }
        },
    );
}
