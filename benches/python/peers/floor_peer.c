/* The raw C API of Python and NumPy: what no binding layer can undercut. */
#define PY_SSIZE_T_CLEAN
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <Python.h>
#include <numpy/arrayobject.h>

static PyObject *empty(PyObject *module, PyObject *object)
{
    Py_RETURN_NONE;
}

/* The first element, plus 1 if the array is square. */
static PyObject *read_numpy(PyObject *module, PyObject *object)
{
    if (!PyArray_Check(object)) {
        PyErr_SetString(PyExc_TypeError, "expected an ndarray");
        return NULL;
    }
    PyArrayObject *array = (PyArrayObject *)object;
    if (PyArray_TYPE(array) != NPY_FLOAT || PyArray_NDIM(array) != 2) {
        PyErr_SetString(PyExc_TypeError, "expected float32 [*, *]");
        return NULL;
    }
    float first = *(const float *)PyArray_DATA(array);
    return PyLong_FromLong((long)first + (PyArray_DIM(array, 0) == PyArray_DIM(array, 1)));
}

static PyObject *new_numpy(PyObject *module, PyObject *unused)
{
    npy_intp shape[2] = {2, 2};
    return PyArray_SimpleNew(2, shape, NPY_FLOAT);
}

static PyMethodDef methods[] = {
    {"empty", empty, METH_O, NULL},
    {"read_numpy", read_numpy, METH_O, NULL},
    {"new_numpy", new_numpy, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "floor_peer", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_floor_peer(void)
{
    import_array();
    return PyModule_Create(&definition);
}
