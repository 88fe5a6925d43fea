//! The value that keeps memory alive.

use std::any::{Any, type_name};

/// Some value whose `Drop` frees the bytes; nothing else is known of it.
pub(crate) struct Owner {
    value: Box<dyn Any + Send + Sync>,
    name: &'static str,
    accepts: Accepts,
}

/// Whether the value can take back bytes after anything was written to them.
pub(crate) type Accepts = fn(&[u8]) -> bool;

impl Owner {
    /// Owner whose bytes may hold anything.
    pub(crate) fn new<O: Any + Send + Sync>(value: O, name: &'static str) -> Self {
        Self { value: Box::new(value), name, accepts: |_| true }
    }

    /// Owner that is given back only if `accepts` its bytes.
    pub(crate) fn with_check<O: Any + Send + Sync>(value: O, accepts: Accepts) -> Self {
        Self { value: Box::new(value), name: short_name::<O>(), accepts }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn get<O: Any>(&self) -> Option<&O> {
        self.value.downcast_ref()
    }

    pub(crate) fn accepts(&self, bytes: &[u8]) -> bool {
        (self.accepts)(bytes)
    }

    /// The value, if it is an `O`.
    pub(crate) fn take<O: Any>(self) -> Result<O, Self> {
        let Self { value, name, accepts } = self;
        match value.downcast() {
            Ok(value) => Ok(*value),
            Err(value) => Err(Self { value, name, accepts }),
        }
    }
}

/// `Vec<f32>` rather than `alloc::vec::Vec<f32>`.
pub(crate) fn short_name<O>() -> &'static str {
    let name = type_name::<O>();
    name.strip_prefix("alloc::vec::").unwrap_or(name)
}
