//! Archives read into memory.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use ndbridge_tensor::{Storage, Tensor};

use crate::error::{NumpyError, Place};
use crate::npy::{self, Header};
use crate::npz::directory::{Directory, Entry};
use crate::npz::member::{Member, Unpacked, check_size};
use crate::npz::parallel::{FileAt, in_parallel};
use crate::npz::record::DEFLATED;
use crate::room;

/// Deflated members may take this much more than the archive before they are checked beforehand.
const UNCHECKED_BYTES: u64 = 8 << 20;

/// As receipts name this way of copying.
const CALL: &str = "npz::load";

/// Piece in which a member is unpacked only to check it.
const PIECE_BYTES: usize = 1 << 16;

/// Every array of an archive with its name, in the order of the archive. Large archives are read,
/// unpacked and checked by several threads.
///
/// ```
/// use ndbridge_numpy::npz;
/// use ndbridge_tensor::{Storage, Tensor};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("x.npz");
/// let (a, b) = (Tensor::from_vec(vec![1_u8]), Tensor::from_vec(vec![2.0_f64, 3.0]));
/// npz::save(&path, [("a", &a), ("b", &b)])?;
/// let arrays = npz::load(&path)?;
/// assert_eq!((arrays[1].0.as_str(), arrays[1].1.shape()), ("b", &[2][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The file cannot be read or is malformed, or any member is no array that can be carried. To load
/// the others nevertheless, [`Npz::open`] the archive.
pub fn load(path: impl AsRef<Path>) -> Result<Vec<(String, Tensor)>, NumpyError> {
    let Npz { mut reader, directory, len_bytes, place } = Npz::open(path)?;
    check_all(&mut reader, &directory.entries, len_bytes, &place)?;
    unpack_all(&reader, &directory.entries, &place)
}

/// An open archive whose arrays are loaded one by one.
///
/// ```
/// use ndbridge_numpy::npz::{self, Npz};
/// use ndbridge_tensor::{Storage, Tensor};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("x.npz");
/// npz::save_compressed(&path, [("weights", &Tensor::from_vec(vec![0.5_f32; 1000]))])?;
/// let mut archive = Npz::open(&path)?;
/// assert_eq!(archive.names().collect::<Vec<_>>(), ["weights"]);
/// assert_eq!(archive.header("weights")?.shape(), [1000]); // without loading it
/// assert_eq!(archive.get("weights")?.to_vec::<f32>()?[999], 0.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Npz<R = File> {
    reader: R,
    directory: Directory,
    len_bytes: u64,
    place: Place,
}

impl Npz<File> {
    /// Opens an archive and reads its directory.
    ///
    /// # Errors
    /// The file cannot be read, or its directory is malformed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, NumpyError> {
        let path = path.as_ref();
        let place = Place::file(path);
        let file = File::open(path).map_err(|error| NumpyError::from(error).at(&place))?;
        Self::with_place(file, place)
    }
}

impl<R: Read + Seek> Npz<R> {
    /// Reads the directory of an archive that is a seekable stream from its start.
    ///
    /// # Errors
    /// As [`open`](Npz::open).
    pub fn new(reader: R) -> Result<Self, NumpyError> {
        Self::with_place(reader, Place::default())
    }

    fn with_place(mut reader: R, place: Place) -> Result<Self, NumpyError> {
        let read = |reader: &mut R| {
            let len_bytes = reader.seek(SeekFrom::End(0))?;
            Ok((len_bytes, Directory::read(reader, len_bytes)?))
        };
        let (len_bytes, directory) =
            read(&mut reader).map_err(|error: NumpyError| error.at(&place))?;
        Ok(Self { reader, directory, len_bytes, place })
    }

    /// Number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.directory.entries.len()
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names of the members, without `.npy`, in the order of the archive.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.directory.entries.iter().map(Entry::key)
    }

    /// Shape and dtype of an array, without loading it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn header(&mut self, name: &str) -> Result<Header, NumpyError> {
        let entry = find(&self.directory, name, &self.place)?;
        let header = Member::locate(&mut self.reader, entry)
            .and_then(|member| member.unpack(|unpacked| read_header(unpacked, entry)));
        header.map_err(|error| error.at(&self.place.member(&entry.name)))
    }

    /// The array `name`, copied into private memory; its checksum is checked.
    ///
    /// # Errors
    /// There is no such name, or the member is malformed, compressed in an unknown way, or no
    /// array that can be carried.
    pub fn get(&mut self, name: &str) -> Result<Tensor, NumpyError> {
        let entry = find(&self.directory, name, &self.place)?;
        get_entry(&mut self.reader, entry, self.len_bytes)
            .map_err(|error| error.at(&self.place.member(&entry.name)))
    }

    /// Every array with its name, in the order of the archive.
    ///
    /// # Errors
    /// As [`get`](Self::get), for any of the members.
    pub fn load_all(&mut self) -> Result<Vec<(String, Tensor)>, NumpyError> {
        let Self { reader, directory, len_bytes, place } = self;
        check_all(reader, &directory.entries, *len_bytes, place)?;
        let mut load = |entry: &Entry| {
            let array = unpack(reader, entry);
            let array = array.map_err(|error| error.at(&place.member(&entry.name)))?;
            Ok((entry.key().to_owned(), array))
        };
        room::collected(directory.entries.iter().map(&mut load))
    }
}

/// The member of that name.
pub(super) fn find<'d>(
    directory: &'d Directory,
    name: &str,
    place: &Place,
) -> Result<&'d Entry, NumpyError> {
    directory.find(name).ok_or_else(|| {
        let (place, name) = (place.clone(), name.to_owned());
        NumpyError::NoSuchName { place, name }
    })
}

/// Checks the members of an archive of `len_bytes` if all of them together are large.
pub(super) fn check_all<R: Read + Seek>(
    reader: &mut R,
    entries: &[Entry],
    len_bytes: u64,
    place: &Place,
) -> Result<(), NumpyError> {
    if unpacked_bytes(entries) <= len_bytes.saturating_add(UNCHECKED_BYTES) {
        return Ok(());
    }
    let check = |entry| check(reader, entry).map_err(|error| error.at(&place.member(&entry.name)));
    entries.iter().try_for_each(check)
}

/// Loads a member of an archive of `len_bytes`.
pub(super) fn get_entry<R: Read + Seek>(
    reader: &mut R,
    entry: &Entry,
    len_bytes: u64,
) -> Result<Tensor, NumpyError> {
    if entry.unpacked_bytes > len_bytes.saturating_add(UNCHECKED_BYTES) {
        check(reader, entry)?;
    }
    unpack(reader, entry)
}

/// Unpacks a member into memory.
fn unpack<R: Read + Seek>(reader: &mut R, entry: &Entry) -> Result<Tensor, NumpyError> {
    Member::locate(reader, entry)?.unpack(|unpacked| {
        let header = read_header(unpacked, entry)?;
        let pending = npy::begin_copy(&header, CALL)?;
        npy::finish_copy(unpack_data(unpacked, &header)?, &header, pending)
    })
}

/// The data of a member behind its array's header.
fn unpack_data<R: Read>(
    unpacked: &mut Unpacked<'_, R>,
    header: &Header,
) -> Result<Storage, NumpyError> {
    let storage = npy::read_storage(&mut npy::Stream(&mut *unpacked), header);
    let storage = storage.map_err(|error| unpacked.explain(error))?;
    unpacked.finish()?;
    Ok(storage)
}

/// Unpacks members on as many threads as it pays for, in their order.
fn unpack_all(
    file: &File,
    entries: &[Entry],
    place: &Place,
) -> Result<Vec<(String, Tensor)>, NumpyError> {
    let at_member = |entry: &Entry| place.member(&entry.name);
    if let Some(first) = entries.first() {
        // What forbids copies forbids them on this thread: ask before any other one begins.
        let header = Member::locate(&mut FileAt::start(file), first)
            .and_then(|member| member.unpack(|unpacked| read_header(unpacked, first)));
        let allowed = header.and_then(|header| npy::begin_copy(&header, CALL).map(drop));
        allowed.map_err(|error| error.at(&at_member(first)))?;
    }
    let unpack = |entry: &Entry| {
        Member::locate(&mut FileAt::start(file), entry)?.unpack(|unpacked| {
            let header = read_header(unpacked, entry)?;
            Ok((unpack_data(unpacked, &header)?, header))
        })
    };
    let read = in_parallel(entries, unpacked_bytes(entries), unpack);
    let finish = |(entry, read): (&Entry, Result<(Storage, Header), NumpyError>)| {
        let array = read.and_then(|(storage, header)| {
            npy::finish_copy(storage, &header, npy::begin_copy(&header, CALL)?)
        });
        Ok((entry.key().to_owned(), array.map_err(|error| error.at(&at_member(entry)))?))
    };
    room::collected(entries.iter().zip(read).map(finish))
}

fn unpacked_bytes(entries: &[Entry]) -> u64 {
    entries.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.unpacked_bytes))
}

/// Unpacks a deflated member without keeping it.
fn check<R: Read + Seek>(reader: &mut R, entry: &Entry) -> Result<(), NumpyError> {
    if entry.method != DEFLATED {
        // Stored bytes are inside the file, each in one member only.
        return Ok(());
    }
    Member::locate(reader, entry)?.unpack(|unpacked| {
        read_header(unpacked, entry)?;
        let mut piece = room::zeroed(PIECE_BYTES)?;
        while unpacked.read(&mut piece).map_err(|error| unpacked.explain(error.into()))? > 0 {}
        Ok(())
    })
}

/// Reads the header of a member's array and checks that the array is all the member holds.
pub(super) fn read_header<R: Read>(
    unpacked: &mut Unpacked<'_, R>,
    entry: &Entry,
) -> Result<Header, NumpyError> {
    let header = Header::read(unpacked, Some(entry.unpacked_bytes));
    let header = header.map_err(|error| unpacked.explain(error))?;
    check_size(&header, entry)?;
    Ok(header)
}
