//! A zip archive that is being written.

use std::io::{self, Seek, SeekFrom, Write};

use crc32fast::Hasher;
use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::error::NumpyError;
use crate::npz::record::{
    CENTRAL, DEFLATED, END, END64, END64_BYTES, IN_ZIP64, LOCAL, LOCAL_BYTES, LOCATOR64,
    NAME_IS_UTF8, Record, SIZES64, STORED,
};

/// Stored members begin at a multiple of this. The header of their array is a multiple of 64 long,
/// so the data lies aligned as well.
const ALIGN_BYTES: u16 = 64;

/// Room that a member may need beside its array's data before its lengths take 64 bits: the array's
/// header, and what deflate adds to data that it cannot pack (less than 1 B in 2 KiB).
const MARGIN_BYTES: u64 = 4 << 20;

/// Marks an extra field that only moves the data behind it.
const PADDING: u16 = 0xa11e;

/// The first day of the format's calendar: the same arrays give the same bytes.
const DATE: u16 = 1 << 5 | 1;

/// Made on Unix: a regular file that everybody may read.
const UNIX: u16 = 3 << 8;
const ATTRIBUTES: u32 = 0o100_644 << 16;

const VERSION_ZIP64: u16 = 45;

/// Members are written one after the other, the directory when all are.
pub(super) struct Archive<W> {
    stream: Stream<W>,
    method: u16,
    directory: Vec<u8>,
    count: u64,
}

impl<W: Write + Seek> Archive<W> {
    /// An archive whose members are packed by `method`.
    pub(super) fn new(mut inner: W, method: u16) -> io::Result<Self> {
        let at = inner.stream_position()?;
        let stream = Stream { inner, at, has_failed: false };
        Ok(Self { stream, method, directory: Vec::new(), count: 0 })
    }

    /// Adds a member that `write` writes: `data_bytes` and a header.
    pub(super) fn add(
        &mut self,
        name: &str,
        data_bytes: usize,
        write: impl FnOnce(&mut dyn Write) -> Result<(), NumpyError>,
    ) -> Result<(), NumpyError> {
        let (method, header_at) = (self.method, self.stream.at);
        let is_wide = data_bytes as u64 > u64::from(IN_ZIP64) - MARGIN_BYTES;
        let mut member =
            Member { name, method, header_at, is_wide, crc: 0, packed: 0, unpacked: 0 };
        self.stream.write_all(&member.local())?;
        let data_at = self.stream.at;
        if method == DEFLATED {
            let encoder = DeflateEncoder::new(&mut self.stream, Compression::default());
            let mut data = Summed { inner: encoder, crc: Hasher::new() };
            write(&mut data)?;
            (member.crc, member.unpacked) = (data.crc.finalize(), data.inner.total_in());
            data.inner.finish()?;
        } else {
            let mut data = Summed { inner: &mut self.stream, crc: Hasher::new() };
            write(&mut data)?;
            member.crc = data.crc.finalize();
            member.unpacked = self.stream.at - data_at;
        }
        member.packed = self.stream.at - data_at;
        self.stream.write_again(header_at, &member.local())?;
        self.directory.extend(member.central());
        self.count += 1;
        Ok(())
    }

    /// Writes the directory, behind all that the stream holds: there it is looked for.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let start = self.stream.inner.seek(SeekFrom::End(0))?;
        self.stream.write_all(&self.directory)?;
        self.stream.write_all(&end(start, self.directory.len() as u64, self.count))?;
        self.stream.flush()
    }
}

/// What the headers of a member say.
struct Member<'n> {
    name: &'n str,
    method: u16,
    header_at: u64,
    /// Whether its lengths take 64 bits.
    // INVARIANT: where not, `packed` and `unpacked` are less than `IN_ZIP64`.
    is_wide: bool,
    crc: u32,
    packed: u64,
    unpacked: u64,
}

impl Member<'_> {
    /// Its own header, of the same length before and after its data is written.
    fn local(&self) -> Vec<u8> {
        let mut extra = wide(&self.lengths());
        if self.method == STORED {
            let end = self.header_at + (LOCAL_BYTES + self.name.len() + extra.0.len()) as u64;
            extra = padded(extra, end);
        }
        let record = self.fields(Record::default().bytes(&LOCAL)).u16(extra.0.len() as u16);
        record.bytes(self.name.as_bytes()).bytes(&extra.0).0
    }

    /// Its entry in the directory.
    fn central(&self) -> Vec<u8> {
        let mut values = self.lengths();
        values.extend((self.header_at >= IN_ZIP64.into()).then_some(self.header_at));
        let extra = wide(&values).0;
        let record = self.fields(Record::default().bytes(&CENTRAL).u16(UNIX | self.version()));
        let record = record.u16(extra.len() as u16).u16(0).u16(0).u16(0).u32(ATTRIBUTES);
        let record = record.u32(narrow(self.header_at)).bytes(self.name.as_bytes());
        record.bytes(&extra).0
    }

    /// What both say.
    fn fields(&self, record: Record) -> Record {
        let flags = if self.name.is_ascii() { 0 } else { NAME_IS_UTF8 };
        let length = |value| if self.is_wide { IN_ZIP64 } else { narrow(value) };
        let record = record.u16(self.version()).u16(flags).u16(self.method).u16(0).u16(DATE);
        let record = record.u32(self.crc).u32(length(self.packed)).u32(length(self.unpacked));
        record.u16(self.name.len() as u16)
    }

    /// The version of the format that a reader has to know, times ten.
    fn version(&self) -> u16 {
        match self.method {
            _ if self.is_wide => VERSION_ZIP64,
            DEFLATED => 20,
            _ => 10,
        }
    }

    /// The lengths that take 64 bits.
    fn lengths(&self) -> Vec<u64> {
        if self.is_wide { vec![self.unpacked, self.packed] } else { Vec::new() }
    }
}

/// The extra field of values that take 64 bits, if there are any.
fn wide(values: &[u64]) -> Record {
    if values.is_empty() {
        return Record::default();
    }
    let record = Record::default().u16(SIZES64).u16(8 * values.len() as u16);
    values.iter().fold(record, |record, &value| record.u64(value))
}

/// What stands in a field of 32 bits for a value that may take more.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(IN_ZIP64)
}

/// The extra fields of a header that would end at `end`, longer, so that it ends aligned.
fn padded(extra: Record, end: u64) -> Record {
    const FIELD_BYTES: u64 = 6;
    let padding = match end.next_multiple_of(ALIGN_BYTES.into()) - end {
        0 => return extra,
        few @ ..FIELD_BYTES => few + u64::from(ALIGN_BYTES),
        enough => enough,
    };
    let record = extra.u16(PADDING).u16(padding as u16 - 4).u16(ALIGN_BYTES);
    record.bytes(&vec![0; (padding - FIELD_BYTES) as usize])
}

/// The records at the end, behind a directory of `len_bytes` and `count` members.
fn end(start: u64, len_bytes: u64, count: u64) -> Vec<u8> {
    let mut record = Record::default();
    if count >= u16::MAX.into() || start.max(len_bytes) >= IN_ZIP64.into() {
        record = record.bytes(&END64).u64(END64_BYTES as u64 - 12);
        record = record.u16(VERSION_ZIP64).u16(VERSION_ZIP64).u32(0).u32(0);
        record = record.u64(count).u64(count).u64(len_bytes).u64(start);
        record = record.bytes(&LOCATOR64).u32(0).u64(start + len_bytes).u32(1);
    }
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    record = record.bytes(&END).u16(0).u16(0).u16(count).u16(count);
    record.u32(narrow(len_bytes)).u32(narrow(start)).u16(0).0
}

/// Writes on, and keeps the checksum of what was written.
struct Summed<W> {
    inner: W,
    crc: Hasher,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(from)?;
        self.crc.update(&from[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A stream that keeps nothing once it has failed: a compressor that is dropped gives the rest of
/// what it has.
struct Stream<W> {
    inner: W,
    /// Where the next byte goes.
    at: u64,
    has_failed: bool,
}

impl<W: Write + Seek> Stream<W> {
    /// Writes over what was written at `at`.
    fn write_again(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.seek(SeekFrom::Start(at))?;
        self.inner.write_all(bytes)?;
        self.inner.seek(SeekFrom::Start(self.at)).map(drop)
    }
}

impl<W: Write> Write for Stream<W> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        if self.has_failed {
            return Ok(from.len());
        }
        let written = self.inner.write(from);
        let is_over = |error: &io::Error| error.kind() != io::ErrorKind::Interrupted;
        self.has_failed = written.as_ref().err().is_some_and(is_over);
        self.at += *written.as_ref().unwrap_or(&0) as u64;
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use super::*;
    use crate::npz::directory::Directory;
    use crate::npz::member;

    /// A stream that begins behind what 32 bits can say.
    #[derive(Default)]
    struct Far(Cursor<Vec<u8>>);

    const START: u64 = 5 << 30;

    impl Read for Far {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Far {
        fn write(&mut self, from: &[u8]) -> io::Result<usize> {
            self.0.write(from)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Far {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            let to = match to {
                SeekFrom::Start(at) => SeekFrom::Start(at.checked_sub(START).unwrap()),
                other => other,
            };
            Ok(START + self.0.seek(to)?)
        }
    }

    /// Writes members of those bytes, each said to be of so many, and reads them again; gives where
    /// the directory says that they are.
    fn check<S: Read + Write + Seek>(
        stream: &mut S,
        method: u16,
        members: &[(&str, usize, &[u8])],
    ) -> Vec<u64> {
        let mut archive = Archive::new(&mut *stream, method).unwrap();
        for (name, data_bytes, bytes) in members {
            archive.add(name, *data_bytes, |data| Ok(data.write_all(bytes)?)).unwrap();
        }
        archive.finish().unwrap();
        let len_bytes = stream.stream_position().unwrap();
        let entries = Directory::read(stream, len_bytes).unwrap().entries;
        assert_eq!(entries.len(), members.len());
        for (entry, (name, _, bytes)) in entries.iter().zip(members) {
            assert_eq!((&*entry.name, entry.unpacked_bytes), (*name, bytes.len() as u64));
            // Compares the member's own header with the directory.
            let member = member::Member::locate(stream, entry).unwrap();
            let mut found = Vec::new();
            member.unpack(|data| Ok(data.read_to_end(&mut found)?)).unwrap();
            assert!(found == *bytes, "{name}");
        }
        entries.iter().map(|entry| entry.header_at).collect()
    }

    #[test]
    fn members_and_places_past_4_gib_take_64_bits() {
        // Such as deflate cannot pack: the end record is looked for in the last 64 KiB.
        let random =
            |number: u64| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_pow(3) >> 40) as u8;
        let long: Vec<u8> = (0..80_000).map(random).collect();
        let huge = u32::MAX as usize;
        let members = [("long", long.len(), &long[..]), ("größe", huge, b"12345"), ("c", 2, b"12")];
        for method in [STORED, DEFLATED] {
            let near = check(&mut Cursor::<Vec<u8>>::default(), method, &members);
            let far = check(&mut Far::default(), method, &members);
            assert_eq!(far, near.iter().map(|at| at + START).collect::<Vec<_>>());
        }
    }

    #[test]
    fn more_members_than_16_bits_can_say_are_counted_in_64() {
        let names: Vec<String> = (0..65_536).map(|number| format!("{number}")).collect();
        for count in [65_534, 65_535, 65_536] {
            let members: Vec<_> = names[..count].iter().map(|name| (&**name, 0, &[][..])).collect();
            check(&mut Cursor::<Vec<u8>>::default(), STORED, &members);
        }
    }
}
