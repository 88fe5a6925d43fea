//! Values that are made once in a process, without anybody waiting for who makes them.
//!
//! PyO3's `PyOnceLock` and `intern!` mark the cell, let go of the interpreter and make the value then. A
//! child that another thread forks meanwhile finds the mark, and waits for ever. Here two threads may
//! both make a value; the first one stays.

use std::sync::OnceLock;

use ndbridge_storage::fork;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyType};

/// A static cell.
pub struct Once<T>(OnceLock<T>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Once<T> {
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The value, if it was made.
    #[inline]
    pub fn get(&self, _py: Python<'_>) -> Option<&T> {
        self.0.get()
    }

    /// The value, made by `make` unless there is one; Python code may run meanwhile, and come here.
    #[inline]
    pub fn get_or_try_init<E>(
        &self,
        _py: Python<'_>,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<&T, E> {
        match self.0.get() {
            Some(value) => Ok(value),
            None => self.fill(make),
        }
    }

    #[cold]
    fn fill<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        let made = make()?;
        Ok(fork::get_or_init(&self.0, || made))
    }
}

impl Once<Py<PyType>> {
    /// A type of a module.
    pub fn import<'py>(
        &self,
        py: Python<'py>,
        module: &str,
        name: &str,
    ) -> PyResult<&Bound<'py, PyType>> {
        let find = || Ok(py.import(module)?.getattr(name)?.cast_into::<PyType>()?.unbind());
        self.get_or_try_init(py, find).map(|found| found.bind(py))
    }
}

/// An interned string, for [`intern!`](crate::intern).
pub struct Interned(&'static str, Once<Py<PyString>>);

impl Interned {
    pub const fn new(text: &'static str) -> Self {
        Self(text, Once::new())
    }

    #[inline]
    pub fn get<'py>(&self, py: Python<'py>) -> &Bound<'py, PyString> {
        let make = || Ok::<_, std::convert::Infallible>(PyString::intern(py, self.0).unbind());
        match self.1.get_or_try_init(py, make) {
            Ok(text) => text.bind(py),
        }
    }
}

/// A Python string that is made once: PyO3's `intern!`, without waiting.
#[doc(hidden)]
#[macro_export]
macro_rules! intern {
    ($py:expr, $text:expr) => {{
        static INTERNED: $crate::once::Interned = $crate::once::Interned::new($text);
        INTERNED.get($py)
    }};
}
