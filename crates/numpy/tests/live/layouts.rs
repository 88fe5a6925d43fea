//! What the C structure of an array says is what NumPy says of it.

use ndbridge_interpreter::join_ledger;
use ndbridge_numpy::python::{array::describe_again, is_array};
use ndbridge_storage::Mutability;
use pyo3::prelude::*;

use crate::{eval, run, with_numpy};

/// Arrays of every layout that NumPy makes.
const ARRAYS: [&str; 42] = [
    "np.arange(24.0).reshape(2, 3, 4)",
    "np.asfortranarray(np.arange(24.0).reshape(2, 3, 4))",
    "np.arange(24.0).reshape(2, 3, 4).T",
    "np.arange(24.0).reshape(2, 3, 4).transpose(1, 2, 0)",
    "np.arange(24.0).reshape(2, 3, 4)[:, 1]",
    "np.arange(24.0).reshape(2, 3, 4)[..., ::-1]",
    "np.arange(24.0).reshape(2, 3, 4)[::-1, ::-1, ::-1]",
    "np.arange(24.0).reshape(2, 3, 4)[:, ::2, ::3]",
    "np.arange(24.0).reshape(2, 3, 4)[1:, 1:, 1:]",
    "np.arange(24.0).reshape(2, 3, 4)[:, :, None]",
    "np.arange(10)[::3]",
    "np.arange(10)[::-3]",
    "np.arange(10)[3:3]",
    "np.arange(9)[4:5]",
    "np.array(2.5)",
    "np.arange(4.0)[2, ...]",
    "np.zeros(0)",
    "np.zeros((3, 0, 2), 'i2')",
    "np.zeros((0, 5))[:, ::-2]",
    "np.zeros((1, 1, 1))",
    "np.zeros((2,) * 30, 'u1')[(0,) * 10]",
    "np.zeros((1,) * 64, 'u1')",
    "np.broadcast_to(np.arange(3), (4, 3))",
    "np.broadcast_to(np.float64(7), (2, 3))",
    "np.broadcast_to(np.arange(3)[:, None], (3, 5))",
    "np.lib.stride_tricks.sliding_window_view(np.arange(8), 3)",
    "np.lib.stride_tricks.as_strided(np.arange(8), (3, 2), (16, 8))",
    "np.diagonal(np.arange(16).reshape(4, 4))",
    "np.zeros(5, [('a', 'f4'), ('b', 'i2'), ('c', 'f8')])['b']",
    "np.zeros((2, 3), [('a', 'u1'), ('b', 'f8')])['b']",
    "np.zeros(4, [('p', 'f4', (3,))])['p']",
    "np.zeros(4, 'c16').imag",
    "np.zeros(4, 'c8').real[::-1]",
    "np.frombuffer(b'\\x00' * 25, 'f8', 3, 1)",
    "np.frombuffer(bytearray(25), 'f8', 3, 1)",
    "np.arange(6, dtype='>i4').reshape(2, 3)",
    "np.arange(6, dtype='<i4')[::2]",
    "locked(np.arange(6.0))",
    "locked(np.arange(6.0))[::2]",
    "np.arange(6.0).view(Subclass)",
    "np.asmatrix(np.arange(6.0).reshape(2, 3))",
    "np.memmap(tempfile.TemporaryFile(), 'i2', 'w+', shape=(3, 5))[:, 1::2]",
];

const MADE: &str = "
import tempfile
warnings.simplefilter('ignore')
class Subclass(np.ndarray):
    # Tells lies, which nobody has to believe.
    shape, strides, dtype = (7,), (1,), np.dtype('i1')
def locked(array):
    array.setflags(write=False)
    return array
def facts(array):
    plain = array.view(np.ndarray)
    interface = plain.__array_interface__
    address, is_read_only = interface['data']
    assert interface['strides'] in (None, plain.strides)
    dtype = plain.dtype
    order = {'<': 'little', '>': 'big', '=': '=', '|': '='}[dtype.byteorder]
    return address, interface['shape'], plain.strides, dtype.name, order, is_read_only
";

type Facts = (usize, Vec<usize>, Vec<isize>, String, String, bool);

#[test]
fn shr_1_an_array_is_described_as_numpy_does() {
    with_numpy(MADE, |py, names| {
        join_ledger(py).unwrap();
        for code in ARRAYS {
            let array = eval(names, code);
            assert!(is_array(&array).unwrap(), "{code}");
            let facts = eval(names, "facts").call1((&array,)).unwrap();
            let (address, shape, strides, dtype, order, is_read_only): Facts =
                facts.extract().unwrap();
            let found = describe_again(&array).unwrap_or_else(|error| panic!("{code}: {error}"));
            assert_eq!(found.ptr.addr(), address, "{code}");
            assert_eq!(found.shape.as_slice(), shape, "{code}");
            assert_eq!(found.strides.as_slice(), strides, "{code}");
            assert_eq!(found.dtype.name(), dtype, "{code}");
            let native = if cfg!(target_endian = "little") { "little" } else { "big" };
            let order = if order == "=" { native } else { &order };
            assert_eq!(found.byte_order.to_string(), format!("{order}-endian"), "{code}");
            assert_eq!(found.mutability == Mutability::ReadOnly, is_read_only, "{code}");
            found.check().unwrap();
        }
    });
}

#[test]
fn shr_1_an_array_that_changes_is_described_as_it_is_now() {
    with_numpy("a = np.arange(6.0)", |_, names| {
        let array = eval(names, "a");
        let first = describe_again(&array).unwrap();
        run(names, "a.resize((2, 4), refcheck=False)\na.setflags(write=False)");
        let now = describe_again(&array).unwrap();
        assert_eq!((first.shape.as_slice(), now.shape.as_slice()), (&[6][..], &[2, 4][..]));
        assert_eq!(now.mutability, Mutability::ReadOnly);
    });
}

#[test]
fn shr_1_what_is_no_array_is_none() {
    with_numpy("class Like:\n    def __array__(self): return np.zeros(1)", |_, names| {
        for code in ["[1.0]", "np.float64(1)", "Like()", "memoryview(b'ab')", "None", "np.ndarray"]
        {
            assert!(!is_array(&eval(names, code)).unwrap(), "{code}");
        }
    });
}
