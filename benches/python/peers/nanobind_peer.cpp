// nanobind, as its documentation writes such functions.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

namespace nb = nanobind;

template <typename Scalar>
using Matrix = nb::ndarray<Scalar, nb::ndim<2>, nb::device::cpu>;

// The first element, plus 1 if the array is square.
static int read_matrix(const Matrix<const float> &array)
{
    return static_cast<int>(array(0, 0)) + (array.shape(0) == array.shape(1));
}

// The same, and the first element is stored again.
static int write_matrix(const Matrix<float> &array)
{
    float first = array(0, 0);
    array(0, 0) = 2.0f;
    return static_cast<int>(first) + (array.shape(0) == array.shape(1));
}

// A new array over memory of ours.
template <typename Framework>
static nb::ndarray<Framework, float, nb::ndim<2>> zeros()
{
    float *elements = new float[4]();
    size_t shape[2] = {2, 2};
    nb::capsule owner(elements, [](void *memory) noexcept { delete[] static_cast<float *>(memory); });
    return {elements, 2, shape, owner};
}

NB_MODULE(nanobind_peer, module)
{
    module.def("empty", [](nb::handle) {});
    module.def("read", read_matrix);
    module.def("write", write_matrix);
    module.def("new_numpy", zeros<nb::numpy>);
    module.def("new_torch", zeros<nb::pytorch>);
}
