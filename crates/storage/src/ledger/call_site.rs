//! Where in the sources a borrow was taken.

use std::fmt;
use std::panic::Location;

/// File, line and column of the call that took a borrow, in this module or in another one.
///
/// Another module of the process (a second extension module with this crate in it) has
/// [`Location`]s of its own, which cannot be passed on; their content can.
///
/// ```
/// use std::panic::Location;
/// use ndbridge_storage::ledger::CallSite;
///
/// let here = CallSite::from(Location::caller());
/// assert_eq!(here.to_string(), format!("{}:{}:{}", file!(), here.line(), here.column()));
/// assert_eq!(CallSite::named("rust-numpy").to_string(), "rust-numpy");
/// ```
#[derive(Clone, Copy)]
pub struct CallSite(Source);

// One pointer on the common way: a location is taken apart when somebody asks.
#[derive(Clone, Copy)]
enum Source {
    Here(&'static Location<'static>),
    Elsewhere { file: &'static str, line: u32, column: u32 },
}

impl CallSite {
    /// A place without a line, known by name only.
    #[must_use]
    pub const fn named(name: &'static str) -> Self {
        Self::new(name, 0, 0)
    }

    /// The place at `line` and `column` of `file`, both counted from 1.
    #[must_use]
    pub const fn new(file: &'static str, line: u32, column: u32) -> Self {
        Self(Source::Elsewhere { file, line, column })
    }

    /// The file, as the compiler of its module was given it.
    #[must_use]
    pub const fn file(&self) -> &'static str {
        match self.0 {
            Source::Here(location) => location.file(),
            Source::Elsewhere { file, .. } => file,
        }
    }

    /// The line, counted from 1; 0 if the place has none.
    #[must_use]
    pub const fn line(&self) -> u32 {
        match self.0 {
            Source::Here(location) => location.line(),
            Source::Elsewhere { line, .. } => line,
        }
    }

    /// The column, counted from 1; 0 if the place has none.
    #[must_use]
    pub const fn column(&self) -> u32 {
        match self.0 {
            Source::Here(location) => location.column(),
            Source::Elsewhere { column, .. } => column,
        }
    }

    fn parts(&self) -> (&'static str, u32, u32) {
        (self.file(), self.line(), self.column())
    }
}

impl From<&'static Location<'static>> for CallSite {
    #[inline(always)]
    fn from(location: &'static Location<'static>) -> Self {
        Self(Source::Here(location))
    }
}

impl PartialEq for CallSite {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for CallSite {}

impl fmt::Display for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (name, 0, _) => f.write_str(name),
            (file, line, column) => write!(f, "{file}:{line}:{column}"),
        }
    }
}

impl fmt::Debug for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallSite({self})")
    }
}
