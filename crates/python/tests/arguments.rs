//! Arguments of functions, made of the arrays of the tests' interpreter.

use ndbridge_python::{Any, Arg, Const};
use pyo3::prelude::*;
use pyo3::types::PyDict;

#[test]
fn shr_1_an_argument_reads_the_array_where_it_lies() {
    Python::initialize();
    Python::attach(|py| {
        let names = PyDict::new(py);
        py.run(
            c"import numpy as np; x = np.arange(6, dtype='f4').reshape(2, 3)[:, ::-1]",
            None,
            Some(&names),
        )
        .unwrap();
        let x = names.get_item("x").unwrap().unwrap();
        let arg: Arg<'_, f32, (Any, Const<3>)> = x.extract().unwrap();
        assert_eq!(arg.view(), ndarray::array![[2.0, 1.0, 0.0], [5.0, 4.0, 3.0]]);
    });
}
