//! Arrays of NumPy and of whoever speaks a protocol, as arguments, to keep, and as results.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

#[path = "../../../interpreter/tests/live/alone.rs"]
mod alone;
mod arguments;
mod conflicts;
mod cow;
mod fixed_in_place;
#[expect(unsafe_code, reason = "makes DLPack structures as foreign code does")]
mod foreign;
mod holds;
mod incoming;
mod lazy;
mod named;
mod returned;
#[path = "../../../interpreter/tests/live/snippets.rs"]
mod snippets;
mod structures;
mod torch;

use std::ffi::CString;

use ndbridge_python::{Arg, ArgCow, ArgMut, Axes, Constraint, DTypes};
use ndbridge_tensor::Element;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use snippets::said;

/// Classes that speak one protocol each, and what the tests say of arrays.
const PRELUDE: &str = "
import array, ctypes, gc, mmap, threading, warnings, weakref
import numpy as np
strided, windows = np.lib.stride_tricks.as_strided, np.lib.stride_tricks.sliding_window_view
class Dlpack:
    def __init__(self, array): self.array = array
    def __dlpack__(self, **options): return self.array.__dlpack__(**options)
    def __dlpack_device__(self): return self.array.__dlpack_device__()
class LegacyDlpack(Dlpack):
    def __dlpack__(self): return self.array.__dlpack__()
class Interface:
    def __init__(self, array, **changed):
        self.array, self.__array_interface__ = array, array.__array_interface__ | changed
def locked(array):
    array.setflags(write=False)
    return array
def aligned(count, dtype='f8', offset=0):
    raw = np.zeros(count * np.dtype(dtype).itemsize + 128, 'u1')
    start = -raw.ctypes.data % 64 + offset
    return raw[start : start + count * np.dtype(dtype).itemsize].view(dtype)
";

/// Runs `test` with NumPy, the prelude and what `code` leaves.
fn with_numpy(code: &str, test: impl FnOnce(Python<'_>, &Bound<'_, PyDict>)) {
    Python::initialize();
    Python::attach(|py| {
        let names = snippets::names(py, &CString::new(format!("{PRELUDE}\n{code}")).unwrap());
        test(py, &names);
    });
}

/// The value of a Python expression.
fn eval<'py>(names: &Bound<'py, PyDict>, code: &str) -> Bound<'py, PyAny> {
    let value = names.py().eval(&CString::new(code).unwrap(), Some(names), None);
    value.unwrap_or_else(|error| panic!("{code}: {error}"))
}

/// Runs Python statements, which `assert` what must hold.
fn run(names: &Bound<'_, PyDict>, code: &str) {
    let done = names.py().run(&CString::new(code).unwrap(), Some(names), None);
    done.unwrap_or_else(|error| panic!("{code}: {error}"));
}

/// The class and the words of what a call raises.
fn refused<T>(py: Python<'_>, answer: PyResult<T>, case: &str) -> (String, String) {
    match answer {
        Ok(_) => panic!("not refused: {case}"),
        Err(error) => said(py, &error),
    }
}

/// An argument, taken and let go of.
fn read<T: DTypes, S: Axes, C: Constraint>(x: &Bound<'_, PyAny>) -> PyResult<()> {
    x.extract::<Arg<'_, T, S, C>>().map(drop)
}

/// An argument to be written, taken and let go of.
fn write<T: DTypes, S: Axes, C: Constraint>(x: &Bound<'_, PyAny>) -> PyResult<()> {
    x.extract::<ArgMut<'_, T, S, C>>().map(drop)
}

/// An argument that may be copied, taken and let go of.
fn copy<T: Element, S: Axes, C: Constraint>(x: &Bound<'_, PyAny>) -> PyResult<()> {
    x.extract::<ArgCow<'_, T, S, C>>().map(drop)
}
