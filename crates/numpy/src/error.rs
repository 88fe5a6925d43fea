//! What can go wrong with a file, and where.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ndbridge_dtype::DType;
use ndbridge_tensor::TensorError;

use crate::reason::FormatError;

/// The file, and the member of it, that an error is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    file: Option<Arc<Path>>,
    member: Option<Arc<str>>,
}

impl Place {
    /// A file of the file system.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self { file: Some(path.into()), member: None }
    }

    /// The same file, and `name` inside it.
    #[must_use]
    pub fn member(&self, name: &str) -> Self {
        Self { file: self.file.clone(), member: Some(name.into()) }
    }

    /// Path of the file; `None` for a stream.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Name of the archive's member; `None` if the file itself is meant.
    #[must_use]
    pub fn member_name(&self) -> Option<&str> {
        self.member.as_deref()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(path) => write!(f, "{}", path.display())?,
            None => f.write_str("stream")?,
        }
        match &self.member {
            Some(name) => write!(f, ", member {name:?}"),
            None => Ok(()),
        }
    }
}

/// Why a file could not be read, mapped or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NumpyError {
    /// The operating system refused.
    #[error("{place}: {source}")]
    Io {
        /// What was being read or written.
        place: Place,
        /// Its answer.
        source: io::Error,
    },
    /// The content is not what the format demands, or not what this crate can carry.
    ///
    /// The offset counts from the start of the file; inside a deflated member, from the start of
    /// what it unpacks to.
    #[error("{place}, byte {offset}: {reason}")]
    Format {
        /// What was being read.
        place: Place,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong there.
        reason: FormatError,
    },
    /// Mapping shares the file's bytes, so they cannot be put into this machine's order.
    #[error("{place}: bytes are stored in the other byte order, cannot map: call load() (copies)")]
    MapByteOrder {
        /// The file that was to be mapped.
        place: Place,
    },
    /// The data type has no NumPy type code.
    #[error(
        "dtype {dtype} has no code in .npy files: call to_dtype(DType::F32) first, \
         or view the bytes as an unsigned integer of {} B",
        dtype.item_bytes()
    )]
    NoTypeCode {
        /// Data type of the tensor that was to be saved.
        dtype: DType,
    },
    /// Two arrays were to be saved under one name.
    #[error("name {name:?} is given twice: members of an .npz file need distinct names")]
    SameName {
        /// The name.
        name: String,
    },
    /// A name is too long for a zip archive.
    #[error("name of {found} B, expected at most {limit} B")]
    LongName {
        /// Length of the member's name in bytes.
        found: usize,
        /// Longest name a zip archive can hold.
        limit: usize,
    },
    /// The archive has no array of that name.
    #[error("{place} has no array {name:?}")]
    NoSuchName {
        /// The archive.
        place: Place,
        /// The name that was asked for.
        name: String,
    },
    /// The tensor refused: already borrowed, on a device, or memory ran out.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl NumpyError {
    /// The same error, said to have happened at `place`, unless it already knows a place.
    pub(crate) fn at(mut self, known: &Place) -> Self {
        match &mut self {
            Self::Io { place, .. }
            | Self::Format { place, .. }
            | Self::MapByteOrder { place }
            | Self::NoSuchName { place, .. }
                if *place == Place::default() =>
            {
                place.clone_from(known);
            }
            _ => {}
        }
        self
    }

    /// The same error with its offset counted from `start` bytes earlier.
    #[cfg_attr(not(feature = "npz"), expect(dead_code, reason = "archives need it"))]
    pub(crate) fn shifted(mut self, start: u64) -> Self {
        if let Self::Format { offset, .. } = &mut self {
            *offset = offset.saturating_add(start);
        }
        self
    }

    pub(crate) fn format(offset: u64, reason: FormatError) -> Self {
        Self::Format { place: Place::default(), offset, reason }
    }
}

impl From<io::Error> for NumpyError {
    fn from(source: io::Error) -> Self {
        Self::Io { place: Place::default(), source }
    }
}
