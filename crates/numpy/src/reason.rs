//! What can be wrong with the bytes of a file.

use ndbridge_dtype::DTypeError;

/// What is wrong at one byte of a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    // The fixed part of an .npy file.
    /// The file does not begin as an `.npy` file does.
    #[error("not an .npy file: expected \\x93NUMPY, found {}", found.escape_ascii())]
    Magic {
        /// The bytes found instead.
        found: [u8; 6],
    },
    /// A zip archive where an `.npy` file was expected.
    #[error("a zip archive, expected an .npy file: call npz::load()")]
    IsArchive,
    /// Python's pickle format, which can run code.
    #[error("Python pickle, expected an .npy file: pickles are never executed")]
    IsPickle,
    /// A format version that nobody has defined.
    #[error("format version {major}.{minor}, expected 1.0, 2.0 or 3.0")]
    Version {
        /// Major version.
        major: u8,
        /// Minor version.
        minor: u8,
    },
    /// The file ends within its header.
    #[error("header of {expected} B, file has {found} B left")]
    HeaderTruncated {
        /// Bytes that the header should have.
        expected: u64,
        /// Bytes that are left.
        found: u64,
    },
    /// The header is longer than any array's header needs to be.
    #[error("header of {found} B, expected at most {limit} B")]
    HeaderLength {
        /// Length the file claims.
        found: u64,
        /// Longest header that is read.
        limit: u64,
    },
    /// The file ends within the array's data.
    #[error("array of {expected} B, file has {found} B left: the file is cut short")]
    DataTruncated {
        /// Bytes that shape and dtype demand.
        expected: u64,
        /// Bytes that are left.
        found: u64,
    },

    // The dictionary of an .npy header.
    /// The header is not the dictionary it should be.
    #[error("header: expected {expected}, found {}", ShownByte(*found))]
    Syntax {
        /// What should stand there.
        expected: &'static str,
        /// The byte that stands there; `None` at the header's end.
        found: Option<u8>,
    },
    /// A key that array headers do not have.
    #[error("header: key {key:?}, expected 'descr', 'fortran_order' and 'shape'")]
    UnknownKey {
        /// The key, or its start.
        key: String,
    },
    /// The same key stands twice.
    #[error("header: key '{key}' stands twice")]
    RepeatedKey {
        /// The key.
        key: &'static str,
    },
    /// A key is not there.
    #[error("header: key '{key}' is missing")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// The length of an axis is negative.
    #[error("header: axis {axis} has a negative length")]
    NegativeLength {
        /// The axis.
        axis: usize,
    },
    /// The length of an axis does not fit this machine.
    #[error("header: the length of axis {axis} does not fit {} bits", usize::BITS)]
    LengthOverflow {
        /// The axis.
        axis: usize,
    },
    /// More axes than a tensor can have.
    #[error("header: more than {limit} axes")]
    TooManyAxes {
        /// Largest number of axes.
        limit: usize,
    },
    /// The size of the whole array does not fit this machine.
    #[error("header: shape {shape:?} of {item_bytes} B each does not fit {} bits", usize::BITS)]
    SizeOverflow {
        /// The shape.
        shape: Box<[usize]>,
        /// Bytes per element.
        item_bytes: usize,
    },
    /// An array of Python objects.
    #[error(
        "array of Python objects: its data is a pickle, which is never executed; \
         save it with a numeric dtype"
    )]
    Objects,
    /// The data type cannot be carried.
    #[error(transparent)]
    DType(#[from] DTypeError),
    /// Records of several fields.
    #[error(
        "structured dtype {descr}: save its fields one by one, as numpy.save(file, x['field'])"
    )]
    Structured {
        /// The start of the description.
        descr: String,
    },

    // The directory of an .npz file.
    /// The file does not end as a zip archive does.
    #[error("no zip end record: not an .npz file, or cut short")]
    NoEndRecord,
    /// One record of the archive's directory is broken.
    #[error("zip archive: {record} is broken or cut short")]
    Record {
        /// Its name.
        record: &'static str,
    },
    /// The archive is spread over several files.
    #[error("zip archive over several disks: join the parts first")]
    SeveralDisks,
    /// The archive says one length and its directory holds another.
    #[error("zip archive: {what} is {expected}, found {found}")]
    Disagreement {
        /// The thing that two places say.
        what: &'static str,
        /// What the archive's directory says.
        expected: u64,
        /// What the other place says.
        found: u64,
    },
    /// Something lies outside the part of the file where it can be.
    #[error("zip archive: {what} ends at byte {end}, expected at most {limit}")]
    OutOfRange {
        /// What it is.
        what: &'static str,
        /// Where it ends.
        end: u64,
        /// Where it should end at the latest.
        limit: u64,
    },
    /// Two members share bytes of the archive.
    #[error("zip archive: members {first:?} and {second:?} overlap")]
    Overlap {
        /// One of the two.
        first: String,
        /// The other.
        second: String,
    },
    /// Two members have the same name.
    #[error("zip archive: two members give the array {name:?}")]
    SameName {
        /// The name, without `.npy`.
        name: String,
    },
    /// The name of a member is not UTF-8 although it is marked so.
    #[error("zip archive: the name of a member is not UTF-8")]
    NameEncoding,
    /// The header of a member contradicts the archive's directory.
    #[error("zip archive: {what} in the member's header contradicts the directory")]
    Contradiction {
        /// The field.
        what: &'static str,
    },
    /// The member needs a password.
    #[error("encrypted, expected stored or deflated: save it without a password")]
    Encrypted,
    /// The member is compressed by another method.
    #[error("compression method {method}, expected stored (0) or deflated (8)")]
    Method {
        /// The zip specification's number of the method.
        method: u16,
    },
    /// The array's header demands one size, the directory says another.
    #[error("array file of {expected} B by its header, the archive's directory says {found} B")]
    MemberSize {
        /// Bytes that the `.npy` header demands, itself included.
        expected: u64,
        /// Bytes that the directory says.
        found: u64,
    },
    /// More than deflated bytes can unpack to.
    #[error("{packed} B cannot unpack to {unpacked} B")]
    Ratio {
        /// Bytes in the archive.
        packed: u64,
        /// Bytes that they should unpack to.
        unpacked: u64,
    },
    /// The compressed bytes or their checksum are wrong.
    #[error("cannot unpack: {source}")]
    Unpack {
        /// The answer of the unpacker.
        source: std::io::Error,
    },
}

/// Prints a byte of a header so that it can be told from the text around it.
struct ShownByte(Option<u8>);

impl std::fmt::Display for ShownByte {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(byte) => write!(f, "'{}'", byte.escape_ascii()),
            None => f.write_str("the end"),
        }
    }
}
