//! What the compiler refuses, each beside a twin that it takes.
//!
//! A view cannot outlive its guard:
//! ```compile_fail,E0505
//! # use ndbridge_tensor::Tensor;
//! let tensor = Tensor::from_vec(vec![1.0_f32, 2.0]);
//! let guard = tensor.read::<f32>().unwrap();
//! let view = guard.view();
//! drop(guard);
//! assert_eq!(view[[0]], 1.0);
//! ```
//! ```
//! # use ndbridge_tensor::Tensor;
//! let tensor = Tensor::from_vec(vec![1.0_f32, 2.0]);
//! let guard = tensor.read::<f32>().unwrap();
//! let view = guard.view();
//! assert_eq!(view[[0]], 1.0);
//! drop(guard);
//! ```
//!
//! Neither can a mutable view:
//! ```compile_fail,E0505
//! # use ndbridge_tensor::Tensor;
//! let tensor = Tensor::from_vec(vec![1.0_f32, 2.0]);
//! let mut guard = tensor.write::<f32>().unwrap();
//! let mut view = guard.view_mut();
//! drop(guard);
//! view[[0]] = 3.0;
//! ```
//! ```
//! # use ndbridge_tensor::Tensor;
//! let tensor = Tensor::from_vec(vec![1.0_f32, 2.0]);
//! let mut guard = tensor.write::<f32>().unwrap();
//! let mut view = guard.view_mut();
//! view[[0]] = 3.0;
//! drop(guard);
//! ```
//!
//! Nor the bytes of a tensor:
//! ```compile_fail,E0505
//! # use ndbridge_tensor::Tensor;
//! let tensor = Tensor::from_vec(vec![1_u8, 2]);
//! let guard = tensor.bytes().unwrap();
//! let bytes: &[u8] = &guard;
//! drop(guard);
//! assert_eq!(bytes[0], 1);
//! ```
//! ```
//! # use ndbridge_tensor::Tensor;
//! let tensor = Tensor::from_vec(vec![1_u8, 2]);
//! let guard = tensor.bytes().unwrap();
//! let bytes: &[u8] = &guard;
//! assert_eq!(bytes[0], 1);
//! drop(guard);
//! ```
//!
//! Two guards cannot exchange what they look at:
//! ```compile_fail,E0277
//! # use ndbridge_tensor::Tensor;
//! let (one, other) = (Tensor::from_vec(vec![1_u8]), Tensor::from_vec(vec![2_u8]));
//! let (mut a, mut b) = (one.write::<u8>().unwrap(), other.write::<u8>().unwrap());
//! std::mem::swap(&mut *a, &mut *b);
//! ```
//! ```
//! # use ndbridge_tensor::Tensor;
//! let (one, other) = (Tensor::from_vec(vec![1_u8]), Tensor::from_vec(vec![2_u8]));
//! let (mut a, mut b) = (one.write::<u8>().unwrap(), other.write::<u8>().unwrap());
//! std::mem::swap(&mut a[[0]], &mut b[[0]]);
//! ```
//!
//! A guard cannot outlive its tensor:
//! ```compile_fail,E0597
//! # use ndbridge_tensor::Tensor;
//! let guard;
//! {
//!     let tensor = Tensor::from_vec(vec![1_i64]);
//!     guard = tensor.read::<i64>().unwrap();
//! }
//! assert_eq!(guard[[0]], 1);
//! ```
//! ```
//! # use ndbridge_tensor::Tensor;
//! let tensor = Tensor::from_vec(vec![1_i64]);
//! let guard;
//! {
//!     guard = tensor.read::<i64>().unwrap();
//! }
//! assert_eq!(guard[[0]], 1);
//! ```
//!
//! A tensor cannot be moved out while a guard of it lives:
//! ```compile_fail,E0505
//! # use ndbridge_tensor::Tensor;
//! let tensor = Tensor::from_vec(vec![1_i64]);
//! let guard = tensor.read::<i64>().unwrap();
//! let array = tensor.into_array::<i64>();
//! assert_eq!(guard[[0]], 1);
//! ```
//! ```
//! # use ndbridge_tensor::Tensor;
//! let tensor = Tensor::from_vec(vec![1_i64]);
//! let guard = tensor.read::<i64>().unwrap();
//! assert_eq!(guard[[0]], 1);
//! drop(guard);
//! let array = tensor.into_array::<i64>();
//! ```
//!
//! A guard for reading does not write:
//! ```compile_fail,E0594
//! # use ndbridge_tensor::Tensor;
//! let tensor = Tensor::from_vec(vec![1_i64]);
//! let mut guard = tensor.read::<i64>().unwrap();
//! guard[[0]] = 2;
//! ```
//! ```
//! # use ndbridge_tensor::Tensor;
//! let tensor = Tensor::from_vec(vec![1_i64]);
//! let mut guard = tensor.write::<i64>().unwrap();
//! guard[[0]] = 2;
//! ```
//!
//! A `no_copy` scope stays on its thread:
//! ```compile_fail,E0277
//! let scope = ndbridge_tensor::no_copy();
//! std::thread::spawn(move || drop(scope));
//! ```
//! ```
//! let scope = ndbridge_tensor::no_copy();
//! std::thread::spawn(move || drop(ndbridge_tensor::no_copy()));
//! drop(scope);
//! ```
//!
//! Elements are the types of this workspace and no others:
//! ```compile_fail,E0277
//! # use ndbridge_tensor::{DType, Element};
//! #[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
//! #[repr(transparent)]
//! struct Celsius(f32);
//! impl std::fmt::Display for Celsius {
//!     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { self.0.fmt(f) }
//! }
//! impl Element for Celsius {
//!     const DTYPE: DType = DType::F32;
//! }
//! ```
//! ```
//! # use ndbridge_tensor::{DType, Element, Tensor};
//! #[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
//! #[repr(transparent)]
//! struct Celsius(f32);
//! impl std::fmt::Display for Celsius {
//!     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { self.0.fmt(f) }
//! }
//! let tensor = Tensor::from_vec(vec![Celsius(20.0).0]);
//! assert_eq!(tensor.dtype(), DType::F32);
//! ```
