//! CUDA kernels that copy, transpose, fill and convert arrays.
//!
//! One source is compiled twice. Nightly compiles it for the GPU, to the PTX text that is checked in
//! as `kernels.ptx.z`, compressed by zlib (`cargo xtask ptx`); users need neither nightly nor CUDA's tools. The same
//! functions are compiled for the host, where [`host::Kernel::run`] runs them thread by thread over
//! any [`host::Memory`]: so an emulated driver can check every access, and tests run without a GPU.
//!
//! | kernel | parameters | does |
//! |---|---|---|
//! | `strided_{1,2,4,8,16}` | `dst, src, Dims` | copies elements of that many bytes between any two layouts |
//! | `transpose_{1,2,4,8,16}` | `dst, src, Tiles` | the same where one side runs along rows, the other along columns |
//! | `fill_{1,2,4,8,16}` | `dst, value, Dims` | writes one value to all elements of a layout |
//! | `cast_FROM_TO` | `dst, src, Dims` | converts as [`ndbridge_dtype::convert`] does, between any two layouts |
//!
//! [`strided`], [`transpose`], [`fill`] and [`cast`] give the [`Launch`] for parameters, and
//! [`module_text`] the PTX module that a driver loads for it.
//!
//! ```
//! use ndbridge_cuda_kernels::{Dim, Dims, Width, module_text, strided};
//!
//! // Every second column of a 1000 x 1000 array of f32, to be contiguous.
//! let dims = Dims::new(&[Dim::new(1000, 4000, 2000), Dim::new(500, 8, 4)]).expect("two dimensions");
//! let launch = strided(Width::B4, &dims);
//! assert_eq!((launch.kernel, launch.grid, launch.threads), ("strided_4", [489, 1, 1], 256));
//! assert!(module_text(launch.kernel).expect("a kernel").contains(".entry strided_4("));
//! ```
//!
//! # Limitations
//!
//! A launch reaches fewer than 2³¹ elements, in at most [`MAX_DIMS`] dimensions; larger copies are
//! several launches. Neighbouring dimensions that are one in memory are for the caller to merge.
#![cfg_attr(target_arch = "nvptx64", no_std)]
#![cfg_attr(
    target_arch = "nvptx64",
    feature(
        abi_ptx,
        core_intrinsics,
        stdarch_nvptx,
        gpu_intrinsics,
        gpu_launch_sized_workgroup_mem
    ),
    expect(internal_features, reason = "the only name of a block's memory")
)]

#[expect(unsafe_code, reason = "loads and stores at addresses of the caller")]
mod cast;
#[cfg(target_arch = "nvptx64")]
#[expect(unsafe_code, reason = "the GPU's registers, memory and barrier")]
mod device;
mod dims;
#[expect(unsafe_code, reason = "stores at addresses of the caller")]
mod fill;
#[cfg(not(target_arch = "nvptx64"))]
#[expect(unsafe_code, reason = "reads parameters that the caller points to")]
pub mod host;
#[expect(unsafe_code, reason = "what a thread can do is unsafe")]
mod lane;
#[cfg(not(target_arch = "nvptx64"))]
mod launch;
#[expect(unsafe_code, reason = "entry points, and the calls of the kernels")]
mod list;
#[cfg(not(target_arch = "nvptx64"))]
mod ptx;
#[expect(unsafe_code, reason = "loads and stores at addresses of the caller")]
mod strided;
#[expect(unsafe_code, reason = "loads and stores at addresses of the caller")]
mod transpose;
mod width;

/// The README's example is a test too.
#[cfg(all(doctest, not(target_arch = "nvptx64")))]
#[doc = include_str!("../README.md")]
struct Readme;

pub use dims::{Dim, Dims, MAX_DIMS, MAX_ELEMENTS};
pub use lane::THREADS;
#[cfg(not(target_arch = "nvptx64"))]
pub use launch::{Launch, cast, fill, strided, transpose};
#[cfg(not(target_arch = "nvptx64"))]
pub use list::KERNELS;
#[cfg(not(target_arch = "nvptx64"))]
pub use ptx::module_text;
pub use transpose::{MAX_BATCH_DIMS, Tiles};
pub use width::Width;
