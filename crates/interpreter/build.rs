//! Tells the crate of a Python without a GIL (`cfg(Py_GIL_DISABLED)`), for which it does not build.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}
