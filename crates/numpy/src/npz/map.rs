//! Archives whose stored members are used where they lie.

use std::fs::File;
use std::io::Cursor;
use std::path::Path;

use ndbridge_tensor::storage::MapMode;
use ndbridge_tensor::{DType, Layout, Order, Receipt, Storage, Tensor, TensorError};

use crate::error::{NumpyError, Place};
use crate::npy::{self, Header};
use crate::npz::directory::{Directory, Entry};
use crate::npz::member;
use crate::npz::read::{check_all, check_size, find, get_entry};
use crate::npz::record::STORED;

/// Maps an archive, read-only: its stored arrays share the file's pages.
///
/// # Errors
/// The file cannot be mapped, or its directory is malformed.
pub fn map(path: impl AsRef<Path>) -> Result<Mapped, NumpyError> {
    let path = path.as_ref();
    map_at(path).map_err(|error| error.at(&Place::file(path)))
}

fn map_at(path: &Path) -> Result<Mapped, NumpyError> {
    let file = File::open(path)?;
    let len_bytes = file.metadata()?.len();
    let len = usize::try_from(len_bytes).map_err(|_| std::io::ErrorKind::FileTooLarge.into());
    let len: usize = len.map_err(|error: std::io::Error| NumpyError::from(error))?;
    let storage = Storage::map_file(&file, 0, len, MapMode::Read).map_err(TensorError::from)?;
    let layout = Layout::contiguous(&[len], 1, Order::C).map_err(TensorError::from)?;
    let bytes = Tensor::from_parts(storage, DType::U8, layout)?;
    let directory = Directory::read(&mut Cursor::new(&*bytes.bytes()?), len_bytes)?;
    Ok(Mapped { bytes, directory, place: Place::file(path) })
}

/// A mapped archive.
///
/// All stored arrays are views of one mapping, which lives until the last of them is gone.
///
/// ```
/// use ndbridge_numpy::npz;
/// use ndbridge_tensor::Tensor;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("x.npz");
/// npz::save(&path, [("a", &Tensor::from_vec(vec![1.0_f64, 2.0]))])?;
/// let archive = npz::map(&path)?;
/// let a = archive.get("a")?;
/// assert!(a.receipt().is_shared());
/// assert_eq!(a.as_ptr().addr() % 64, 0); // our own archives are aligned, NumPy's seldom are
/// drop(archive);
/// assert_eq!(a.read::<f64>()?[[1]], 2.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Limitations
/// As for [`npy::map`](crate::npy::map).
#[derive(Debug)]
pub struct Mapped {
    /// The whole file.
    bytes: Tensor,
    directory: Directory,
    place: Place,
}

impl Mapped {
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

    /// The array `name`: shared with the file if it is stored in this machine's byte order, else
    /// unpacked into private memory. The receipt tells which.
    ///
    /// # Errors
    /// As [`Npz::get`](super::Npz::get).
    pub fn get(&self, name: &str) -> Result<Tensor, NumpyError> {
        let entry = find(&self.directory, name, &self.place)?;
        let bytes = self.bytes.bytes()?;
        self.get_entry(&bytes, entry).map_err(|error| error.at(&self.place.member(&entry.name)))
    }

    /// Every array with its name, in the order of the archive.
    ///
    /// # Errors
    /// As [`get`](Self::get), for any of the members.
    pub fn all(&self) -> Result<Vec<(String, Tensor)>, NumpyError> {
        let entries = &self.directory.entries;
        let bytes = self.bytes.bytes()?;
        check_all(&mut Cursor::new(&*bytes), entries, bytes.len() as u64, &self.place)?;
        let named = |entry: &Entry| {
            let array = self.get_entry(&bytes, entry);
            let array = array.map_err(|error| error.at(&self.place.member(&entry.name)))?;
            Ok((entry.key().to_owned(), array))
        };
        entries.iter().map(named).collect()
    }

    fn get_entry(&self, bytes: &[u8], entry: &Entry) -> Result<Tensor, NumpyError> {
        if entry.method != STORED {
            return get_entry(&mut Cursor::new(bytes), entry, bytes.len() as u64);
        }
        // The directory was read from these bytes, so the member begins inside them.
        let data_at = member::read_header(&mut &bytes[entry.header_at as usize..], entry)?;
        let header = read_header(bytes, entry, data_at).map_err(|error| error.shifted(data_at))?;
        if npy::check_byte_order(&header).is_err() {
            return get_entry(&mut Cursor::new(bytes), entry, bytes.len() as u64);
        }
        // The member ends inside the file, so this is no larger than the file.
        let layout = npy::layout_at(&header, data_at as usize + header.data_offset())?;
        let storage = self.bytes.storage().clone();
        let tensor = Tensor::from_parts(storage, header.dtype(), layout)?;
        Ok(tensor.with_receipt(Receipt::shared("npz::map")))
    }
}

fn read_header(file: &[u8], entry: &Entry, data_at: u64) -> Result<Header, NumpyError> {
    // `member::read_header` checked that the member ends inside the file.
    let mut data = &file[data_at as usize..][..entry.packed_bytes as usize];
    let header = Header::read(&mut data, Some(entry.packed_bytes))?;
    check_size(&header, entry)?;
    Ok(header)
}
