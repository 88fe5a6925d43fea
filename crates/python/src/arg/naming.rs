//! Exceptions that name the argument they are about.
//!
//! PyO3 knows an argument's name only after its extraction failed, and adds a note with it to the
//! exception. The exceptions made here take the name from that note and put it where it belongs.

use ndbridge_interpreter::once::Once;
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyModule, PyType};

use super::purpose::Use;

/// Stands for the argument's name in a text.
pub(super) const NAME: &str = "\0";

const SOURCE: &std::ffi::CStr = c"
def add_note(self, note, /):
    before, after = \"while processing '\", \"'\"
    if note.startswith(before) and note.endswith(after):
        name = note[len(before):-len(after)]
        self.args = (self._text.replace('\\0', name),)
    else:
        super(type(self), self).add_note(note)


def named(base):
    # Goes to other processes as the plain exception.
    def __reduce__(self):
        return base, self.args

    members = {'add_note': add_note, '__reduce__': __reduce__, '__doc__': base.__doc__}
    members['__module__'] = 'ndbridge'
    return type('Argument' + base.__name__, (base,), members)


kinds = tuple(map(named, (TypeError, ValueError, BufferError)))
";

/// Python's exceptions for an argument that will not do.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Type,
    Value,
    Buffer,
}

/// An exception whose `text` has [`NAME`] where the argument's name should stand.
#[cold]
pub(super) fn exception(py: Python<'_>, kind: Kind, text: &str) -> PyErr {
    match named(py, kind, text) {
        Ok(error) => error,
        // Whatever is wrong with the classes, the reason comes through.
        Err(_) => {
            let text = text.replace(NAME, "argument");
            match kind {
                Kind::Type => PyTypeError::new_err(text),
                Kind::Value => PyValueError::new_err(text),
                Kind::Buffer => PyBufferError::new_err(text),
            }
        }
    }
}

fn named(py: Python<'_>, kind: Kind, text: &str) -> PyResult<PyErr> {
    let class = kinds(py)?[kind as usize].bind(py);
    let instance = class.call1((text.replace(NAME, "argument"),))?;
    instance.setattr("_text", text)?;
    Ok(PyErr::from_value(instance))
}

fn kinds(py: Python<'_>) -> PyResult<&'static [Py<PyType>; 3]> {
    static KINDS: Once<[Py<PyType>; 3]> = Once::new();
    KINDS.get_or_try_init(py, || {
        let module =
            PyModule::from_code(py, SOURCE, c"ndbridge_arguments.py", c"ndbridge_arguments")?;
        module.getattr("kinds")?.extract()
    })
}

/// The same exception, of a kind that takes the argument's name; others go on as they are.
#[cold]
pub(super) fn with_name(py: Python<'_>, wanted: Use, error: PyErr) -> PyErr {
    let class = error.get_type(py);
    let kind = if class.is(py.get_type::<PyTypeError>()) {
        Kind::Type
    } else if class.is(py.get_type::<PyValueError>()) {
        Kind::Value
    } else if class.is(py.get_type::<PyBufferError>()) {
        Kind::Buffer
    } else {
        return error;
    };
    let text = error.value(py).to_string();
    let text = match text
        .split_once(": pass ")
        .map(|(reason, call)| (reason, call.split_once(" (copies)")))
    {
        Some((reason, Some((call, rest)))) => {
            format!("{reason}: {}{rest}", wanted.of(&format!("{call} (copies)")))
        }
        _ => text,
    };
    exception(py, kind, &format!("{NAME}: {}", with_argument(&text)))
}

/// A text whose calls are of the argument, by its name, instead of `x`.
fn with_argument(text: &str) -> String {
    let calls = ["pass x.", "= x.", "or x.", "and x.", "(x)"];
    let named = |text: String, call: &str| text.replace(call, &call.replace('x', NAME));
    calls.into_iter().fold(text.to_owned(), named)
}
