//! Tensors as arrays.

use ndbridge_interpreter::{PythonGate, PythonOwner, join_ledger};
use ndbridge_numpy::python::{array::describe_again, to_numpy};
use ndbridge_storage::{Foreign, ForeignAccess, Mutability, Storage};
use ndbridge_tensor::{DType, Index, Layout, Order, Tensor, storage::Device};
use pyo3::prelude::*;

use crate::{raised, run, said, with_numpy};

fn ramp(shape: &[usize]) -> Tensor {
    let len: usize = shape.iter().product();
    let values: Vec<f64> = (0..len).map(|value| value as f64).collect();
    Tensor::from_vec_with_shape(values, shape).unwrap()
}

/// Views of every kind, and how NumPy makes them of `x = np.arange(24.0).reshape(2, 3, 4)`.
fn views(x: &Tensor) -> Vec<(Tensor, &'static str)> {
    let every = |start, stop, step| Index::Slice { start, stop, step };
    let all = every(None, None, 1);
    let at = |indices: &[Index]| x.index(indices).unwrap();
    vec![
        (x.clone(), "x"),
        (x.transpose().unwrap(), "x.T"),
        (x.permute(&[1, 2, 0]).unwrap(), "x.transpose(1, 2, 0)"),
        (x.flip(&[0, 2]).unwrap(), "x[::-1, :, ::-1]"),
        (x.select(1, 2).unwrap(), "x[:, 2]"),
        (at(&[all, all, every(None, None, 3)]), "x[:, :, ::3]"),
        (at(&[all, all, every(None, None, -2)]), "x[:, :, ::-2]"),
        (at(&[all, every(Some(1), Some(1), 1)]), "x[:, 1:1]"),
        (at(&[Index::At(1), Index::At(2), Index::At(3)]), "x[1, 2, 3, ...]"),
        (x.unsqueeze(1).unwrap(), "x[:, None]"),
        (
            x.select(0, 0).unwrap().broadcast_to(&[5, 3, 4]).unwrap(),
            "np.broadcast_to(x[0], (5, 3, 4))",
        ),
        (x.reshape(&[4, 6]).unwrap(), "x.reshape(4, 6)"),
        (x.diagonal(0, 1, 2).unwrap(), "np.diagonal(x, 0, 1, 2)"),
        (
            x.sliding_windows(&[2], Some(&[2])).unwrap(),
            "np.lib.stride_tricks.sliding_window_view(x, 2, 2)",
        ),
        (x.reinterpret(DType::U8).unwrap(), "x.view('u1')"),
    ]
}

#[test]
fn shr_1_every_view_goes_out_as_it_lies() {
    with_numpy("x = np.arange(24.0).reshape(2, 3, 4)", |py, names| {
        let x = ramp(&[2, 3, 4]);
        for (view, code) in views(&x) {
            let array = to_numpy(py, &view).unwrap();
            let found = describe_again(&array).unwrap();
            assert_eq!(found.ptr, view.as_ptr(), "{code}");
            assert_eq!(
                (found.shape.as_slice(), found.strides.as_slice()),
                (view.shape(), view.strides())
            );
            names.set_item("array", &array).unwrap();
            run(
                names,
                &format!(
                    "expected = {code}\n\
                     assert array.shape == expected.shape and array.dtype == expected.dtype, array\n\
                     assert np.array_equal(array, expected), array\n\
                     for len, one, other in zip(array.shape, array.strides, expected.strides):\n\
                     \x20   assert len < 2 or one == other, array.strides"
                ),
            );
        }
    });
}

#[test]
fn shr_4_writes_are_seen_on_both_sides() {
    with_numpy("", |py, names| {
        let x = ramp(&[2, 3]);
        for (name, tensor) in
            [("a", &x), ("b", &x.transpose().unwrap()), ("c", &x.flip(&[1]).unwrap())]
        {
            names.set_item(name, to_numpy(py, tensor).unwrap()).unwrap();
        }
        run(names, "a[1, 2] = 70.0\nassert b[2, 1] == 70.0 and c[1, 0] == 70.0");
        assert_eq!(x.to_vec::<f64>().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 70.0]);
        x.write::<f64>().unwrap()[[0, 0]] = 80.0;
        run(names, "assert a[0, 0] == b[0, 0] == c[0, 2] == 80.0");
    });
}

/// Read-only tensors, by what makes them so.
fn read_only() -> Vec<(&'static str, Tensor)> {
    let unknown = |mutability| {
        let memory = ramp(&[3]);
        let (ptr, len_bytes) = (memory.as_ptr(), memory.size_bytes());
        let access = ForeignAccess::Lent(PythonGate::shared());
        let owner =
            PythonOwner::new(Python::attach(|py| py.None()), Vec::new(), Some(Box::new(memory)));
        let foreign = Foreign {
            owner,
            name: "test",
            ptr,
            len_bytes,
            device: Device::Cpu,
            mutability,
            access,
        };
        // SAFETY: the owner has the tensor, which nobody else reaches.
        let storage = unsafe { Storage::from_foreign(foreign) }.unwrap();
        let layout = Layout::contiguous(&[3], 8, Order::C).unwrap();
        Tensor::from_parts(storage, DType::F64, layout).unwrap()
    };
    vec![
        ("constant", ramp(&[3]).into_constant()),
        ("handle", ramp(&[3]).into_read_only()),
        ("view of a handle", ramp(&[3, 2]).into_read_only().select(1, 0).unwrap()),
        ("foreign", unknown(Mutability::ReadOnly)),
        ("unknown", unknown(Mutability::Unknown)),
    ]
}

#[test]
fn mut_2_read_only_tensors_give_arrays_that_stay_read_only() {
    with_numpy("", |py, names| {
        join_ledger(py).unwrap();
        for (name, tensor) in read_only() {
            names.set_item("array", to_numpy(py, &tensor).unwrap()).unwrap();
            for (code, text) in [
                ("array.__setitem__(0, 1.0)", "read-only"),
                ("array.fill(1.0)", "read-only"),
                ("array.setflags(write=True)", "cannot set WRITEABLE flag"),
                ("array[::2].setflags(write=True)", "cannot set WRITEABLE flag"),
                ("array.view(np.matrix).setflags(write=True)", "cannot set WRITEABLE flag"),
                ("np.asarray(memoryview(array)).setflags(write=True)", "cannot set WRITEABLE flag"),
            ] {
                let (class, found) = raised(names, code);
                assert_eq!(class, "ValueError", "{name}: {code}");
                assert!(found.contains(text), "{name}: {code}: {found}");
            }
            run(names, "assert not array.flags.writeable and memoryview(array).readonly");
        }
    });
}

#[test]
fn own_1_the_array_keeps_the_memory_alive() {
    with_numpy("", |py, names| {
        let tensor = ramp(&[2, 3]);
        let storage = tensor.storage().downgrade();
        names.set_item("array", to_numpy(py, &tensor).unwrap()).unwrap();
        drop(tensor);
        run(names, "view = array[1, ::2]\nexport = memoryview(array)\ndel array");
        assert!(storage.is_alive());
        run(names, "assert view.tolist() == [3.0, 5.0] and export[0, 1] == 1.0\ndel export");
        assert!(storage.is_alive());
        run(names, "del view");
        assert!(!storage.is_alive());
    });
}

#[test]
fn own_2_what_does_not_go_out_leaves_nothing() {
    with_numpy("", |py, _| {
        let tensor = ramp(&[3]);
        let guard = tensor.write::<f64>().unwrap();
        let (class, text) = said(py, &to_numpy(py, &tensor).unwrap_err());
        assert_eq!(class, "BufferError");
        assert!(text.contains("still borrowed for writing by Rust code (export.rs"), "{text}");
        drop(guard);
        assert!(tensor.storage().is_unique());
        drop(to_numpy(py, &tensor).unwrap());
        assert!(tensor.storage().is_unique());
    });
}
