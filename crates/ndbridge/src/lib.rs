//! Carry n-dimensional arrays between Rust, ndarray, NumPy and files, sharing or copying exactly as asked.
