//! One member of an archive: found, checked, unpacked.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Take};

use crc32fast::Hasher;
use flate2::bufread::DeflateDecoder;

use crate::error::NumpyError;
use crate::npy::Header;
use crate::npz::directory::{Entry, decode_name};
use crate::npz::record::{
    DEFLATED, ENCRYPTED, FieldsAt as _, IN_ZIP64, LOCAL, LOCAL_BYTES, SIZES_FOLLOW, STORED,
};
use crate::reason::FormatError;
use crate::room;

/// Enough to read a member's headers and the header of its array at once.
const READ_BYTES: usize = 4096;

/// Piece in which packed bytes are read.
const PACKED_BYTES: usize = 1 << 15;

/// A deflated byte unpacks to at most this many: 258 bytes take two bits.
const MAX_RATIO: u64 = 1032;

/// A member whose headers were read and agree with the directory.
pub(super) struct Member<'r, R> {
    entry: &'r Entry,
    /// Where its data begins in the file.
    data_at: u64,
    rest: BufReader<&'r mut R>,
}

impl<'r, R: Read + Seek> Member<'r, R> {
    /// Goes to a member and checks its own header.
    pub(super) fn locate(reader: &'r mut R, entry: &'r Entry) -> Result<Self, NumpyError> {
        reader.seek(SeekFrom::Start(entry.header_at))?;
        let mut rest = BufReader::with_capacity(READ_BYTES, reader);
        let data_at = read_header(&mut rest, entry)?;
        Ok(Self { entry, data_at, rest })
    }

    /// Where the data of a stored member begins, and the header of its array.
    pub(super) fn stored_header(self) -> Result<(u64, Header), NumpyError> {
        let Self { entry, data_at, rest } = self;
        let header = Header::read(&mut rest.take(entry.packed_bytes), Some(entry.packed_bytes));
        let checked = header.and_then(|header| check_size(&header, entry).map(|()| header));
        Ok((data_at, checked.map_err(|error| error.shifted(data_at))?))
    }

    /// Calls `use_bytes` with a reader of the unpacked bytes, whose checksum is checked where
    /// they end.
    pub(super) fn unpack<T>(
        self,
        use_bytes: impl FnOnce(&mut Unpacked<'_, R>) -> Result<T, NumpyError>,
    ) -> Result<T, NumpyError> {
        let Self { entry, data_at, rest } = self;
        let packed = rest.take(entry.packed_bytes);
        let data = if entry.method == DEFLATED {
            room::for_compressor()?;
            let packed = BufReader::with_capacity(PACKED_BYTES, packed);
            Data::Deflated(DeflateDecoder::new(packed))
        } else {
            Data::Stored(packed)
        };
        let left = entry.unpacked_bytes;
        use_bytes(&mut Unpacked { data, left, crc: Hasher::new(), expected: entry.crc, data_at })
    }
}

/// Reads what a member unpacks to.
pub(super) struct Unpacked<'r, R> {
    data: Data<'r, R>,
    /// Bytes that are still to come, as the directory says.
    left: u64,
    /// Of the bytes that came.
    crc: Hasher,
    /// The checksum of all of them, as the directory says.
    expected: u32,
    data_at: u64,
}

/// The bytes of a member in the file, and what they are.
enum Data<'r, R> {
    Stored(Take<BufReader<&'r mut R>>),
    Deflated(DeflateDecoder<BufReader<Take<BufReader<&'r mut R>>>>),
}

impl<R: Read> Unpacked<'_, R> {
    /// Checks that the member ends here and that its checksum is right.
    pub(super) fn finish(&mut self) -> Result<(), NumpyError> {
        let at = self.data_at;
        match self.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(unpack_error(io::ErrorKind::InvalidData.into(), at)),
            Err(error) => Err(unpack_error(error, at)),
        }
    }

    /// An error of reading, told apart from the file system's.
    pub(super) fn explain(&self, error: NumpyError) -> NumpyError {
        match error {
            NumpyError::Io { source, .. } => unpack_error(source, self.data_at),
            other => other,
        }
    }
}

impl<R: Read> Read for Unpacked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let found = match &mut self.data {
            Data::Stored(data) => data.read(buffer)?,
            Data::Deflated(data) => data.read(buffer)?,
        };
        self.crc.update(&buffer[..found]);
        let broken = |message: String| Err(io::Error::new(io::ErrorKind::InvalidData, message));
        let Some(left) = self.left.checked_sub(found as u64) else {
            return broken("more bytes than the directory says".into());
        };
        self.left = left;
        if found == 0 && !buffer.is_empty() {
            let (expected, sum) = (self.expected, self.crc.clone().finalize());
            if sum != expected {
                return broken(format!("expected checksum {expected:#010x}, found {sum:#010x}"));
            }
        }
        Ok(found)
    }
}

/// Reads a member's own header and checks it against the directory; gives where the data begins.
fn read_header<R: Read>(reader: &mut R, entry: &Entry) -> Result<u64, NumpyError> {
    let error = |reason| NumpyError::format(entry.header_at, reason);
    check_packing(entry).map_err(error)?;
    let mut record = [0; LOCAL_BYTES];
    reader.read_exact(&mut record)?;
    if !record.starts_with(&LOCAL) {
        return Err(error(FormatError::Record { record: "member header" }));
    }
    let data_at = data_start(entry, &record).map_err(error)?;
    let mut name = room::zeroed(record.u16_at(26).into())?;
    reader.read_exact(&mut name)?;
    check_agreement(entry, &record, &name).map_err(error)?;
    io::copy(&mut reader.take(record.u16_at(28).into()), &mut io::sink())?;
    Ok(data_at)
}

/// Says of an error whether the packed bytes caused it, or the file system.
fn unpack_error(source: io::Error, at: u64) -> NumpyError {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    match source.kind() {
        InvalidData | InvalidInput | UnexpectedEof | Other if source.raw_os_error().is_none() => {
            NumpyError::format(at, FormatError::Unpack { source })
        }
        _ => source.into(),
    }
}

fn check_packing(entry: &Entry) -> Result<(), FormatError> {
    let (packed, unpacked) = (entry.packed_bytes, entry.unpacked_bytes);
    match entry.method {
        _ if entry.is_encrypted => Err(FormatError::Encrypted),
        STORED if packed != unpacked => {
            let what = "unpacked size of a stored member";
            Err(FormatError::Disagreement { what, expected: packed, found: unpacked })
        }
        DEFLATED if unpacked > packed.saturating_mul(MAX_RATIO) => {
            Err(FormatError::Ratio { packed, unpacked })
        }
        STORED | DEFLATED => Ok(()),
        method => Err(FormatError::Method { method }),
    }
}

/// Where the data of a member begins, if it ends where it has to.
fn data_start(entry: &Entry, record: &[u8]) -> Result<u64, FormatError> {
    let header_bytes =
        LOCAL_BYTES as u64 + u64::from(record.u16_at(26)) + u64::from(record.u16_at(28));
    let data_at = entry.header_at.saturating_add(header_bytes);
    let (end, limit) = (data_at.saturating_add(entry.packed_bytes), entry.limit);
    if end > limit {
        return Err(FormatError::OutOfRange { what: "member", end, limit });
    }
    Ok(data_at)
}

/// Checks what a member's header and the directory both say.
fn check_agreement(entry: &Entry, record: &[u8], name: &[u8]) -> Result<(), FormatError> {
    let contradiction = |what| Err(FormatError::Contradiction { what });
    let flags = record.u16_at(6);
    let sizes_known = flags & SIZES_FOLLOW == 0;
    let differs = |place, value: u64| {
        let narrow = record.u32_at(place);
        sizes_known && narrow != IN_ZIP64 && u64::from(narrow) != value
    };
    match () {
        () if flags & ENCRYPTED != 0 => Err(FormatError::Encrypted),
        () if record.u16_at(8) != entry.method => contradiction("compression method"),
        () if sizes_known && record.u32_at(14) != entry.crc => contradiction("checksum"),
        () if differs(18, entry.packed_bytes) => contradiction("packed size"),
        () if differs(22, entry.unpacked_bytes) => contradiction("unpacked size"),
        () if decode_name(name, flags)? != *entry.name => contradiction("name"),
        () => Ok(()),
    }
}

/// Whether the header of an array demands the size that the archive's directory says.
pub(super) fn check_size(header: &Header, entry: &Entry) -> Result<(), NumpyError> {
    let expected = header.data_offset() as u64 + header.data_bytes() as u64;
    let found = entry.unpacked_bytes;
    if expected == found {
        return Ok(());
    }
    Err(NumpyError::format(
        header.data_offset() as u64,
        FormatError::MemberSize { expected, found },
    ))
}
