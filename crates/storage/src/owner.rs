//! The value that keeps memory alive.

use std::any::{Any, type_name};

use crate::alloc::aligned::Aligned;

/// Some value whose `Drop` frees the bytes; nothing else is known of it.
pub(crate) struct Owner {
    value: Value,
    name: &'static str,
    accepts: Accepts,
    // Whether `&value` may be handed out: it leads to no byte that a guard may be writing.
    is_visible: bool,
}

/// Memory of our own needs no box.
enum Value {
    Aligned(Aligned),
    Boxed(Box<dyn Any + Send + Sync>),
}

/// Whether the value can take back bytes after anything was written to them.
pub(crate) type Accepts = fn(&[u8]) -> bool;

impl Owner {
    /// Owner whose bytes may hold anything.
    pub(crate) fn new<O: Any + Send + Sync>(value: O, name: &'static str) -> Self {
        let value = Value::Boxed(Box::new(value));
        Self { value, name, accepts: |_| true, is_visible: false }
    }

    /// Owner of memory of our own.
    pub(crate) fn aligned(aligned: Aligned) -> Self {
        let value = Value::Aligned(aligned);
        Self { value, name: "aligned allocation", accepts: |_| true, is_visible: false }
    }

    /// Owner that everyone may look at.
    pub(crate) fn visible(self) -> Self {
        Self { is_visible: true, ..self }
    }

    /// The value, if it is an `O` that everyone may look at.
    pub(crate) fn seen<O: Any>(&self) -> Option<&O> {
        if self.is_visible { self.get() } else { None }
    }

    /// Owner that is given back only if `accepts` its bytes.
    pub(crate) fn with_check<O: Any + Send + Sync>(value: O, accepts: Accepts) -> Self {
        let value = Value::Boxed(Box::new(value));
        Self { value, name: short_name::<O>(), accepts, is_visible: false }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn get<O: Any>(&self) -> Option<&O> {
        match &self.value {
            Value::Aligned(aligned) => (aligned as &dyn Any).downcast_ref(),
            Value::Boxed(value) => value.downcast_ref(),
        }
    }

    pub(crate) fn accepts(&self, bytes: &[u8]) -> bool {
        (self.accepts)(bytes)
    }

    /// The value, if it is an `O`.
    pub(crate) fn take<O: Any>(self) -> Result<O, Self> {
        let Self { value, name, accepts, is_visible } = self;
        let value = match value {
            // Nobody outside can name the type.
            Value::Aligned(_) => Err(value),
            Value::Boxed(value) => value.downcast().map_err(Value::Boxed),
        };
        value.map(|value| *value).map_err(|value| Self { value, name, accepts, is_visible })
    }
}

/// `Vec<f32>` rather than `alloc::vec::Vec<f32>`.
pub(crate) fn short_name<O>() -> &'static str {
    let name = type_name::<O>();
    name.strip_prefix("alloc::vec::").unwrap_or(name)
}
