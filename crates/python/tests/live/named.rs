//! Errors of arguments name the argument.

use ndbridge_python::{Any, Arg, ArgCow, ArgMut, Const, ToNumpy, same_axes};
use ndbridge_tensor::Tensor;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::{refused, run, with_numpy};

/// Adds `weights` and `points`, in place; gives the count of `names`.
#[pyfunction]
fn combine(
    mut points: ArgMut<'_, f64, (Any, Const<3>)>,
    weights: Arg<'_, f64, (Any,)>,
    scale: ArgCow<'_, f32, ()>,
) -> PyResult<ToNumpy> {
    same_axes!(points: [n, axis], weights: [n]);
    assert_eq!((n, axis), (points.shape()[0], 3));
    for (mut point, weight) in points.rows_mut().into_iter().zip(&*weights) {
        point *= weight * f64::from(scale[[]]);
    }
    Ok(ToNumpy(Tensor::from_vec(vec![n as i64])))
}

#[pyfunction]
fn matrices(a: Arg<'_, f64>, b: Arg<'_, f64>) -> PyResult<(usize, usize, usize)> {
    same_axes!(a: [m, k], b: [k, n]);
    Ok((m, k, n))
}

fn with_functions(test: impl FnOnce(Python<'_>, &Bound<'_, PyDict>)) {
    with_numpy("", |py, names| {
        names.set_item("combine", wrap_pyfunction!(combine, py).unwrap()).unwrap();
        names.set_item("matrices", wrap_pyfunction!(matrices, py).unwrap()).unwrap();
        test(py, names);
    });
}

fn error(names: &Bound<'_, PyDict>, code: &str) -> (String, String) {
    let code = std::ffi::CString::new(code).unwrap();
    let answer = names.py().eval(&code, Some(names), None);
    refused(names.py(), answer, &code.to_string_lossy())
}

#[test]
fn shr_4_a_function_of_arguments_reads_and_writes_them() {
    with_functions(|_, names| {
        run(
            names,
            "
p = np.ones((2, 3))
assert combine(p, np.array([2.0, 3.0]), 0.5).tolist() == [2]
assert p.tolist() == [[1.0] * 3, [1.5] * 3]
assert matrices(np.ones((2, 3)), np.ones((3, 4))) == (2, 3, 4)
",
        );
    });
}

#[test]
fn dty_4_errors_name_the_argument_and_are_pythons_own_kinds() {
    with_functions(|_, names| {
        run(names, "p, w, same = np.ones((2, 3)), np.ones(2), np.ones((2, 3))");
        for (code, class, expected) in [
            (
                "combine(p.astype('f4'), w, 1)",
                "ArgumentTypeError",
                "points: expected writable float64 [*, 3] on cpu, got numpy float32 [2, 3]: \
                 make y = points.astype('float64') (copies 48 B), pass y, use y",
            ),
            (
                "combine(p, w.astype('i4'), 1)",
                "ArgumentTypeError",
                "weights: expected float64 [*] on cpu, got numpy int32 [2]: \
                 pass weights.astype('float64') (copies 16 B)",
            ),
            (
                "combine(p, weights=p, scale=1)",
                "ArgumentValueError",
                "weights: expected float64 [*] on cpu, got numpy float64 [2, 3]",
            ),
            ("combine(p, w, 1j)", "ArgumentTypeError", ""),
            (
                "combine(p, [1.0], 1)",
                "ArgumentTypeError",
                "weights: list offers no array: expected a NumPy array, a tensor of torch, \
                 TensorFlow, JAX or ndbridge, or an object with __dlpack__, __array_interface__ or a \
                 buffer: pass numpy.asarray(weights) (copies)",
            ),
            (
                "combine(np.ma.ones((2, 3)), w, 1)",
                "ArgumentTypeError",
                "points: masked array: its mask would be lost: make y = points.filled(value) \
                 (copies), pass y, use y, or points.data and points.mask (share)",
            ),
            (
                "combine(same, same[:, 0], 1)",
                "ArgumentBufferError",
                "weights: numpy float64 [2] with strides [24] B shares memory that is borrowed for \
                 writing by another argument: pass weights.copy()",
            ),
        ] {
            let (found, text) = error(names, code);
            assert_eq!(found, class, "{code}: {text}");
            assert!(
                text == expected || expected.is_empty() && text.starts_with("scale: "),
                "{code}: {text}"
            );
        }
        run(
            names,
            "
import pickle, copy
for call, base in [
    (lambda: combine(p, w.astype('i4'), 1), TypeError),
    (lambda: combine(p, p, 1), ValueError),
    (lambda: combine(same, same[:, 0], 1), BufferError),
]:
    try: call()
    except Exception as error:
        assert isinstance(error, base) and not getattr(error, '__notes__', None), error
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is base and str(again) == str(error)
        error.add_note('mine')
        assert error.__notes__ == ['mine']
",
        );
    });
}

#[test]
fn shr_1_axes_that_disagree_name_both_arguments() {
    with_functions(|_, names| {
        for (code, expected) in [
            (
                "matrices(np.ones((5, 3)), np.ones((4, 2)))",
                "b: axis k has length 4 in shape [4, 2], expected 3 as in a of shape [5, 3]",
            ),
            (
                "matrices(np.ones((5, 3)), np.ones((2, 2)))",
                "b: axis k has length 2 in shape [2, 2], expected 3 as in a of shape [5, 3]",
            ),
            (
                "matrices(np.ones(5), np.ones((4, 2)))",
                "a: expected 2 axes [\"m\", \"k\"], got shape [5]",
            ),
            (
                "combine(np.ones((2, 3)), np.ones(4), 1)",
                "weights: axis n has length 4 in shape [4], expected 2 as in points of shape [2, 3]",
            ),
        ] {
            let (class, text) = error(names, code);
            assert_eq!((class.as_str(), text.as_str()), ("ArgumentValueError", expected));
        }
    });
}

#[test]
fn own_2_arguments_taken_before_one_that_is_refused_are_let_go_of() {
    with_functions(|_, names| {
        run(
            names,
            "
class Sub(np.ndarray): pass
p, gone = np.ones((2, 3)), []
s = p.copy().view(Sub)
weakref.finalize(s, gone.append, 1)
",
        );
        for code in [
            "combine(p, p[:, 0].astype('i4'), 1)",
            "combine(p, p[:, 0], 1)",
            "combine(s, [1.0], 1)",
        ] {
            error(names, code);
        }
        run(
            names,
            "
p.resize(12, refcheck=False)
p.fill(1.0)
del s
assert gone == [1]
combine(p[:6].reshape(2, 3), np.ones(2), 1)
",
        );
    });
}
