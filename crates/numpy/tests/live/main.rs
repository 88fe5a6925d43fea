//! Live arrays of the NumPy that the tests' interpreter has.

use ndbridge_numpy::python::to_numpy;
use ndbridge_tensor::Tensor;
use pyo3::prelude::*;

#[test]
fn shr_4_what_an_array_writes_its_tensor_reads() {
    Python::initialize();
    Python::attach(|py| {
        let tensor = Tensor::from_vec(vec![1.0_f32, 2.0, 3.0]);
        let array = to_numpy(py, &tensor).unwrap();
        array.set_item(1, 7.0).unwrap();
        assert_eq!(tensor.to_vec::<f32>().unwrap(), [1.0, 7.0, 3.0]);
        let address: usize =
            array.getattr("ctypes").unwrap().getattr("data").unwrap().extract().unwrap();
        assert_eq!(address, tensor.as_ptr().addr());
    });
}
