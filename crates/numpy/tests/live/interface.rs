//! `__array_interface__` of tensors.

use ndbridge_interpreter::join_ledger;
use ndbridge_numpy::python::array_interface;
use ndbridge_tensor::{DType, Tensor};
use pyo3::prelude::*;

use crate::{eval, run, said, with_numpy};

const MADE: &str = "
class Lender:
    def __init__(self, interface): self.__array_interface__ = interface
";

#[test]
fn shr_1_numpy_makes_the_same_array_of_the_dictionary() {
    with_numpy(MADE, |py, names| {
        let x = Tensor::from_vec_with_shape((0..12).collect::<Vec<i16>>(), &[3, 4]).unwrap();
        for (tensor, is_plain) in [
            (x.clone(), true),
            (x.transpose().unwrap(), false),
            (x.flip(&[1]).unwrap(), false),
            (x.select(1, 2).unwrap(), false),
            (x.select(0, 1).unwrap(), true),
            (x.clone().into_read_only(), true),
            (x.select(0, 0).unwrap().select(0, 3).unwrap(), true),
        ] {
            let interface = array_interface(py, &tensor).unwrap().unwrap();
            names.set_item("interface", &interface).unwrap();
            let array = eval(names, "np.asarray(Lender(interface))");
            let address: usize = eval(names, "interface['data'][0]").extract().unwrap();
            assert_eq!(address, tensor.as_ptr().addr());
            names.set_item("array", array).unwrap();
            names.set_item("strides", tensor.strides().to_vec()).unwrap();
            names.set_item("values", tensor.to_vec::<i16>().unwrap()).unwrap();
            names.set_item("is_read_only", tensor.is_read_only()).unwrap();
            names.set_item("is_plain", is_plain).unwrap();
            run(
                names,
                "assert interface['version'] == 3 and (interface['strides'] is None) == is_plain\n\
                 assert interface['data'][1] == is_read_only == (not array.flags.writeable)\n\
                 assert array.ctypes.data == interface['data'][0] and array.dtype == 'int16'\n\
                 assert array.strides == tuple(strides) and array.ravel().tolist() == values",
            );
        }
    });
}

#[test]
fn dty_1_the_type_string_is_numpys_and_missing_where_it_has_none() {
    with_numpy("", |py, names| {
        for dtype in DType::ALL {
            let tensor = Tensor::zeros(&[2], dtype).unwrap();
            let interface = array_interface(py, &tensor).unwrap();
            let is_added = matches!(dtype, DType::BF16 | DType::F8E4M3 | DType::F8E5M2);
            assert_eq!(interface.is_none(), is_added, "{dtype}");
            if let Some(interface) = interface {
                names.set_item("interface", interface).unwrap();
                run(names, &format!("assert interface['typestr'] == np.dtype('{dtype}').str"));
            }
        }
    });
}

#[test]
fn mut_4_memory_that_the_dictionary_names_is_lent() {
    with_numpy("", |py, _| {
        join_ledger(py).unwrap();
        let tensor = Tensor::from_vec(vec![1.0_f32]);
        let guard = tensor.read::<f32>().unwrap();
        let (class, text) = said(py, &array_interface(py, &tensor).unwrap_err());
        assert_eq!(class, "BufferError");
        assert!(text.contains("still borrowed for reading"), "{text}");
        drop(guard);
        assert!(py.detach(|| tensor.read::<f32>().is_ok()), "private");
        array_interface(py, &tensor).unwrap();
        assert!(py.detach(|| tensor.read::<f32>().is_err()), "lent");
        assert!(tensor.read::<f32>().is_ok());
    });
}
