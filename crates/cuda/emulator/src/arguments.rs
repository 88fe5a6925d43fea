//! The program's pointers.
//!
//! A value of these types is an argument of a driver function, or a part of a structure that one
//! points to: only the program makes them, and by the call it promises what the driver's manual
//! asks for. Reading and writing through them is safe on that promise, for as long as the manual
//! says: until the call returns, or until the work that it queued has run.

use std::ffi::{CStr, c_char, c_void};
use std::slice;

use crate::code::{Code, INVALID_VALUE};

/// Where a result goes; null is refused.
#[repr(transparent)]
pub struct Out<T>(*mut T);

impl<T> Out<T> {
    /// A place that another argument leads to.
    pub fn from_pointer(pointer: *mut T) -> Out<T> {
        Out(pointer)
    }

    pub fn put(&self, value: T) -> Result<(), Code> {
        if self.0.is_null() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the program's promise; C places need not be aligned for us.
        unsafe { self.0.write_unaligned(value) };
        Ok(())
    }

    pub fn put_unless_null(&self, value: T) {
        // Null is a way to ask for nothing.
        let _ = self.put(value);
    }

    pub fn take(&self) -> Result<T, Code>
    where
        T: Copy,
    {
        if self.0.is_null() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the program's promise, for places that are read too.
        Ok(unsafe { self.0.read_unaligned() })
    }

    /// The place as one for another type, of a function whose attribute says which.
    pub fn as_out<U>(&self) -> Out<U> {
        Out(self.0.cast())
    }

    /// The `index`th element of an array that starts here.
    pub fn element(&self, index: usize) -> Out<T> {
        Out(self.0.wrapping_add(index))
    }
}

/// A string; null is refused.
#[repr(transparent)]
pub struct Text(*const c_char);

impl Text {
    pub fn to_str(&self) -> Result<&str, Code> {
        if self.0.is_null() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the program's promise.
        unsafe { CStr::from_ptr(self.0) }.to_str().map_err(|_| INVALID_VALUE)
    }
}

/// A place in host memory.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct HostAddress(usize);

impl HostAddress {
    /// An address in memory that the program pinned, registered or was given as managed.
    pub fn in_pinned(addr: usize) -> HostAddress {
        HostAddress(addr)
    }

    pub fn addr(self) -> usize {
        self.0
    }

    pub fn plus(self, bytes: usize) -> HostAddress {
        HostAddress(self.0.wrapping_add(bytes))
    }

    pub fn read(self, into: &mut [u8]) {
        // SAFETY: the program's promise; a slice is made of no other's bytes than the copy reads.
        unsafe { into.as_mut_ptr().copy_from(self.0 as *const u8, into.len()) }
    }

    pub fn write(self, from: &[u8]) {
        // SAFETY: the program's promise.
        unsafe { from.as_ptr().copy_to(self.0 as *mut u8, from.len()) }
    }
}

/// A function of the program that a stream calls, and what it is called with.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct HostFunction(Option<unsafe extern "C" fn(*mut c_void)>);

impl HostFunction {
    pub fn is_null(&self) -> bool {
        self.0.is_none()
    }

    pub fn call(&self, data: usize) {
        if let Some(function) = self.0 {
            // SAFETY: the program's promise: its function, with the argument it gave.
            unsafe { function(data as *mut c_void) }
        }
    }
}

/// Pointers to a kernel's parameters.
#[repr(transparent)]
pub struct KernelArguments(*const *const u8);

impl KernelArguments {
    /// The bytes of each parameter, of the sizes that the kernel declares.
    pub fn copy(&self, sizes: &[usize]) -> Result<Vec<Vec<u8>>, Code> {
        if self.0.is_null() && !sizes.is_empty() {
            return Err(INVALID_VALUE);
        }
        Ok(sizes.iter().enumerate().map(|(index, size)| self.argument(index, *size)).collect())
    }

    fn argument(&self, index: usize, size: usize) -> Vec<u8> {
        // SAFETY: the program's promise: a pointer for each parameter.
        let argument = unsafe { *self.0.wrapping_add(index) };
        // SAFETY: the program's promise: each points to a parameter of its size.
        unsafe { slice::from_raw_parts(argument, size) }.to_vec()
    }
}

/// A structure that describes something; null is refused.
#[repr(transparent)]
pub struct In<T>(*const T);

impl<T: Copy> In<T> {
    pub fn get(&self) -> Result<T, Code> {
        if self.0.is_null() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the program's promise.
        Ok(unsafe { self.0.read_unaligned() })
    }

    pub fn element(&self, index: usize) -> In<T> {
        In(self.0.wrapping_add(index))
    }
}
