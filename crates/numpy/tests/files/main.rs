//! Files: NumPy's own, ours, streams, archives, saving.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod atomic_save;
mod maps;
mod npy_golden;
mod npy_header;
mod npy_stream;
mod npy_write;
mod npz_golden;
mod npz_parallel;
mod npz_write;
mod support;
