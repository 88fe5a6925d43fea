//! Modules, kernels, functions of the host.

use std::ffi::{CString, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering};

use cust::sys;

use super::Stream;

pub fn load(ptx: &str) -> Result<usize, i32> {
    let (text, mut module) = (CString::new(ptx).unwrap(), null_mut());
    let code = driver!(cuModuleLoadData(&mut module, text.as_ptr().cast()));
    if code == 0 { Ok(module as usize) } else { Err(code) }
}

pub fn function(module: usize, name: &str) -> Result<usize, i32> {
    let (name, mut function) = (CString::new(name).unwrap(), null_mut());
    let module = module as sys::CUmodule;
    let code = driver!(cuModuleGetFunction(&mut function, module, name.as_ptr()));
    if code == 0 { Ok(function as usize) } else { Err(code) }
}

/// Launches with parameters that the caller keeps in their memory layout.
pub fn launch(
    function: usize,
    (grid, threads, shared): (u32, u32, u32),
    parameters: &[&[u8]],
    stream: Stream,
) -> i32 {
    let mut pointers: Vec<*mut c_void> =
        parameters.iter().map(|bytes| bytes.as_ptr().cast_mut().cast()).collect();
    let (function, stream) = (function as sys::CUfunction, stream as sys::CUstream);
    let parameters = pointers.as_mut_ptr();
    let none = null_mut();
    driver!(cuLaunchKernel(function, grid, 1, 1, threads, 1, 1, shared, stream, parameters, none))
}

/// A stream calls this. It lives as long as the program.
pub fn call_on(stream: Stream, function: impl Fn() + Sync + 'static) -> i32 {
    type Function = Box<dyn Fn() + Sync>;
    extern "C" fn call(function: *mut c_void) {
        // SAFETY: leaked below.
        let function = unsafe { &*function.cast::<Function>() };
        function();
    }
    let function: Function = Box::new(function);
    let function: &'static Function = Box::leak(Box::new(function));
    let data = (&raw const *function).cast_mut().cast();
    driver!(cuLaunchHostFunc(stream as sys::CUstream, Some(call), data))
}

/// A function that a stream calls with the counter's address.
pub fn count_on(stream: Stream, counter: &'static AtomicU32) -> i32 {
    extern "C" fn count(counter: *mut c_void) {
        // SAFETY: the address of a static counter, given below.
        let counter = unsafe { &*counter.cast::<AtomicU32>() };
        counter.fetch_add(1, Ordering::SeqCst);
        // The driver may not be called from here.
        assert_eq!(driver!(cuCtxSynchronize()), 800);
    }
    let data = (&raw const *counter).cast_mut().cast();
    driver!(cuLaunchHostFunc(stream as sys::CUstream, Some(count), data))
}
