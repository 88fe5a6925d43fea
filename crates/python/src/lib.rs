//! The Python package ndbridge.
