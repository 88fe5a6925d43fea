//! The header of an `.npy` file: magic, version, length and dictionary.
//!
//! ```text
//! byte 0        6   7   8            10 (12 from version 2 on)      data_offset
//!      \x93NUMPY 1   0   length (LE)  {'descr': .., 'shape': .., }   \n data ..
//!                                     <---- length bytes ----------->
//! ```
//!
//! Source: `numpy.lib.format`, NEP 1.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;

use ndbridge_dtype::{ByteOrder, DType, DTypeError, Refused, parse_type_string};
use ndbridge_tensor::{Layout, MAX_NDIM, Order};

use crate::error::NumpyError;
use crate::npy::literal::{self, Fields};
use crate::reason::FormatError;
use crate::room;

const MAGIC: [u8; 6] = *b"\x93NUMPY";

/// Magic, version and the two bytes of a version 1 length.
const PREFIX_BYTES: usize = 10;

/// Longest header that is read. 64 axes of 20 digits need 1.4 KB; the rest is for writers that
/// pad to whole pages.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Data begins at a multiple of this, as in files that NumPy writes.
const ALIGN_BYTES: usize = 64;

/// As much of a file as is read at first: more than the headers of nearly all files.
pub(super) const HEAD_BYTES: usize = 512;

/// NumPy leaves room for the first axis to grow to this many digits.
const GROWTH_DIGITS: usize = 21;

/// What an `.npy` file says of its array before the data begins.
///
/// ```
/// use ndbridge_numpy::npy::Header;
/// use ndbridge_tensor::{DType, Order};
/// let header = Header::new(DType::F32, Order::C, &[2, 3]).unwrap();
/// let bytes = header.to_bytes().unwrap();
/// assert_eq!(bytes.len(), 128); // a multiple of 64, as NumPy writes it
/// let (read, size) = (Header::read(&mut bytes.as_slice(), None).unwrap(), header.data_bytes());
/// assert_eq!((read.shape(), size), (&[2, 3][..], 24));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    dtype: DType,
    byte_order: ByteOrder,
    order: Order,
    shape: Vec<usize>,
    // INVARIANT: the product of `shape` times the item size, at most `isize::MAX`.
    data_bytes: usize,
    data_offset: usize,
}

impl Header {
    /// A header for native data of that kind; `None` if the size does not fit, or if there are
    /// more axes than a tensor can have.
    #[must_use]
    pub fn new(dtype: DType, order: Order, shape: &[usize]) -> Option<Self> {
        let data_bytes = size_bytes(shape, dtype.item_bytes())?;
        let has_room = shape.len() <= MAX_NDIM;
        let shape = shape.to_vec();
        let byte_order = ByteOrder::NATIVE;
        let header = Self { dtype, byte_order, order, shape, data_bytes, data_offset: 0 };
        has_room.then_some(header)
    }

    /// Reads a header and nothing past it. `len_bytes` is what the reader holds, if known.
    ///
    /// # Errors
    /// The reader fails, or the header is malformed, or of a dtype that cannot be carried, or
    /// demands more bytes than `len_bytes`. Nothing is allocated for a length that was not checked.
    pub fn read<R: Read>(reader: &mut R, len_bytes: Option<u64>) -> Result<Self, NumpyError> {
        let mut prefix = [0; PREFIX_BYTES];
        let found = read_up_to(reader, &mut prefix)?;
        let wide = check_prefix(&prefix[..found])?;
        let (text_bytes, text_at) = text_length(reader, prefix, wide)?;
        let text = read_text(reader, text_bytes, text_at, len_bytes)?;
        let at_text = |(at, reason)| NumpyError::format((text_at + at) as u64, reason);
        let fields = literal::parse(&text).map_err(at_text)?;
        let header = Self::from_fields(fields, text_at + text.len()).map_err(at_text)?;
        header.check_fits(len_bytes)?;
        Ok(header)
    }

    /// As [`read`](Self::read), from the start of a file; gives what it read of the data as well.
    pub(super) fn read_head<'h>(
        file: &mut File,
        len_bytes: Option<u64>,
        head: &'h mut [u8; HEAD_BYTES],
    ) -> Result<(Self, &'h [u8]), NumpyError> {
        // One call of the system. A pipe may give less, and the header's reader asks again.
        let found = loop {
            match file.read(head) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                found => break found?,
            }
        };
        let mut rest = &head[..found];
        let header = Self::read(&mut rest.by_ref().chain(file), len_bytes)?;
        Ok((header, rest))
    }

    fn from_fields(fields: Fields<'_>, data_offset: usize) -> Result<Self, (usize, FormatError)> {
        let (dtype, byte_order) =
            read_descr(fields.descr).map_err(|reason| (fields.descr_at, reason))?;
        let item_bytes = dtype.item_bytes();
        let Some(data_bytes) = size_bytes(&fields.shape, item_bytes) else {
            let shape = fields.shape.into_boxed_slice();
            return Err((fields.shape_at, FormatError::SizeOverflow { shape, item_bytes }));
        };
        let Fields { order, shape, .. } = fields;
        Ok(Self { dtype, byte_order, order, shape, data_bytes, data_offset })
    }

    fn check_fits(&self, len_bytes: Option<u64>) -> Result<(), NumpyError> {
        let expected = self.data_bytes as u64;
        match len_bytes.map(|len| len.saturating_sub(self.data_offset as u64)) {
            Some(found) if found < expected => Err(NumpyError::format(
                self.data_offset as u64,
                FormatError::DataTruncated { expected, found },
            )),
            _ => Ok(()),
        }
    }

    /// Data type of the elements.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Byte order of the data.
    #[must_use]
    pub fn byte_order(&self) -> ByteOrder {
        self.byte_order
    }

    /// Memory order of the data.
    #[must_use]
    pub fn order(&self) -> Order {
        self.order
    }

    /// Length of each axis.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Size of the data.
    #[must_use]
    pub fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    /// Where the data begins, counted from the magic; 0 in a header that was not read.
    #[must_use]
    pub fn data_offset(&self) -> usize {
        self.data_offset
    }

    /// The bytes NumPy writes for this header, up to where the data begins.
    ///
    /// # Errors
    /// The dtype has no NumPy type code (bfloat16, float8).
    pub fn to_bytes(&self) -> Result<Vec<u8>, NumpyError> {
        let text = self.text()?;
        let prefix_bytes = |is_long: bool| PREFIX_BYTES + if is_long { 2 } else { 0 };
        let padded = |prefix: usize| {
            // NumPy adds a whole block of padding where none is needed.
            let bare = prefix + text.len() + 1;
            (bare / ALIGN_BYTES + 1) * ALIGN_BYTES
        };
        let is_long = padded(PREFIX_BYTES) - PREFIX_BYTES > usize::from(u16::MAX);
        let total = padded(prefix_bytes(is_long));
        let len = total - prefix_bytes(is_long);
        let mut bytes = Vec::with_capacity(total);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[if is_long { 2 } else { 1 }, 0]);
        bytes.extend_from_slice(&len.to_le_bytes()[..if is_long { 4 } else { 2 }]);
        bytes.extend_from_slice(text.as_bytes());
        bytes.resize(total - 1, b' ');
        bytes.push(b'\n');
        Ok(bytes)
    }

    fn text(&self) -> Result<String, NumpyError> {
        let dtype = self.dtype;
        let descr = dtype.type_string(self.byte_order).ok_or(NumpyError::NoTypeCode { dtype })?;
        let is_fortran = self.order == Order::F;
        let order = if is_fortran { "True" } else { "False" };
        let mut text =
            format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {}, }}", Tuple(self));
        let growing = if is_fortran { self.shape.last() } else { self.shape.first() };
        if let Some(length) = growing {
            let digits = length.checked_ilog10().map_or(1, |log| log as usize + 1);
            let _ = write!(text, "{:1$}", "", GROWTH_DIGITS - digits);
        }
        Ok(text)
    }
}

fn read_descr(descr: &[u8]) -> Result<(DType, ByteOrder), FormatError> {
    let descr = literal::shown(descr);
    parse_type_string(&descr).map_err(|error| match error {
        DTypeError::Refused { kind: Refused::Object, .. } => FormatError::Objects,
        other => other.into(),
    })
}

/// A shape as Python prints a tuple.
struct Tuple<'a>(&'a Header);

impl std::fmt::Display for Tuple<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_char('(')?;
        for (axis, length) in self.0.shape.iter().enumerate() {
            let separator = if axis == 0 { "" } else { ", " };
            write!(f, "{separator}{length}")?;
        }
        f.write_str(if self.0.shape.len() == 1 { ",)" } else { ")" })
    }
}

/// Size of an array of that shape; `None` past `isize::MAX`. An axis of length 0 makes it 0, but
/// the other axes still have to fit, as in NumPy.
fn size_bytes(shape: &[usize], item_bytes: usize) -> Option<usize> {
    Layout::contiguous(shape, item_bytes, Order::C).ok()?.size_bytes(item_bytes).ok()
}

/// Whether the length after the prefix takes four bytes instead of two.
fn check_prefix(prefix: &[u8]) -> Result<bool, NumpyError> {
    check_magic(prefix)?;
    match (prefix.len(), prefix) {
        (PREFIX_BYTES, [.., 1, 0, _, _]) => Ok(false),
        (PREFIX_BYTES, [.., 2 | 3, 0, _, _]) => Ok(true),
        (PREFIX_BYTES, [.., major, minor, _, _]) => {
            let (major, minor) = (*major, *minor);
            Err(NumpyError::format(6, FormatError::Version { major, minor }))
        }
        (found, _) => Err(prefix_truncated(found)),
    }
}

fn check_magic(prefix: &[u8]) -> Result<(), NumpyError> {
    let head = &prefix[..prefix.len().min(MAGIC.len())];
    let reason = match head {
        _ if MAGIC.starts_with(head) => return Ok(()),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => FormatError::IsArchive,
        // Protocols 2 to 5 begin so; older ones cannot be told from any other text.
        [0x80, 2..=5, ..] => FormatError::IsPickle,
        _ => {
            let mut found = [0; 6];
            found[..head.len()].copy_from_slice(head);
            FormatError::Magic { found }
        }
    };
    Err(NumpyError::format(0, reason))
}

fn prefix_truncated(found: usize) -> NumpyError {
    let (expected, found) = (PREFIX_BYTES as u64, found as u64);
    NumpyError::format(found, FormatError::HeaderTruncated { expected, found })
}

/// Length of the dictionary's text, and where it begins.
fn text_length<R: Read>(
    reader: &mut R,
    prefix: [u8; PREFIX_BYTES],
    wide: bool,
) -> Result<(u64, usize), NumpyError> {
    let low = [prefix[8], prefix[9]];
    if !wide {
        return Ok((u16::from_le_bytes(low).into(), PREFIX_BYTES));
    }
    let mut high = [0; 2];
    if read_up_to(reader, &mut high)? < high.len() {
        return Err(prefix_truncated(PREFIX_BYTES));
    }
    let len = u32::from_le_bytes([low[0], low[1], high[0], high[1]]);
    Ok((len.into(), PREFIX_BYTES + high.len()))
}

fn read_text<R: Read>(
    reader: &mut R,
    text_bytes: u64,
    text_at: usize,
    len_bytes: Option<u64>,
) -> Result<Vec<u8>, NumpyError> {
    let truncated = |found| {
        let reason = FormatError::HeaderTruncated { expected: text_bytes, found };
        NumpyError::format(text_at as u64, reason)
    };
    match len_bytes.map(|len| len.saturating_sub(text_at as u64)) {
        Some(found) if found < text_bytes => return Err(truncated(found)),
        _ => {}
    }
    if text_bytes > MAX_HEADER_BYTES {
        let reason = FormatError::HeaderLength { found: text_bytes, limit: MAX_HEADER_BYTES };
        return Err(NumpyError::format(8, reason));
    }
    let mut text = room::zeroed(text_bytes as usize)?;
    let found = read_up_to(reader, &mut text)?;
    if found < text.len() { Err(truncated(found as u64)) } else { Ok(text) }
}

/// Fills `buffer` as far as the reader goes and says how far that was.
pub(crate) fn read_up_to<R: Read>(reader: &mut R, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut found = 0;
    while found < buffer.len() {
        match reader.read(&mut buffer[found..]) {
            Ok(0) => break,
            Ok(count) => found += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
