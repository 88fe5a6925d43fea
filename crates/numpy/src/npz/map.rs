//! Archives whose stored members are used where they lie.

use std::fs::File;
use std::path::Path;

use ndbridge_tensor::storage::MapMode;
use ndbridge_tensor::{Receipt, Storage, Tensor, TensorError};

use crate::error::{NumpyError, Place};
use crate::npy::{self, join_for_maps};
use crate::npz::directory::{Directory, Entry};
use crate::npz::member::Member;
use crate::npz::parallel::FileAt;
use crate::npz::read::{check_all, find, get_entry};
use crate::npz::record::STORED;
use crate::room;

/// Maps an archive, read-only: its stored arrays share the file's pages; what other processes,
/// `np.memmap` and other foreign maps do to the file meanwhile, nobody sees.
///
/// # Errors
/// The file cannot be mapped, or its directory is malformed.
pub fn map(path: impl AsRef<Path>) -> Result<Mapped, NumpyError> {
    let path = path.as_ref();
    map_at(path).map_err(|error| error.at(&Place::file(path)))
}

fn map_at(path: &Path) -> Result<Mapped, NumpyError> {
    join_for_maps()?;
    let file = File::open(path)?;
    let len_bytes = file.metadata()?.len();
    let len = usize::try_from(len_bytes).map_err(|_| std::io::ErrorKind::FileTooLarge.into());
    let len: usize = len.map_err(|error: std::io::Error| NumpyError::from(error))?;
    let storage = Storage::map_file(&file, 0, len, MapMode::Read).map_err(TensorError::from)?;
    let directory = Directory::read(&mut FileAt::start(&file), len_bytes)?;
    Ok(Mapped { storage, file, directory, place: Place::file(path) })
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
    /// The whole file, for the arrays.
    storage: Storage,
    /// For headers and what is packed: reading these borrows nothing.
    file: File,
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
        self.get_entry(entry).map_err(|error| error.at(&self.place.member(&entry.name)))
    }

    /// Every array with its name, in the order of the archive.
    ///
    /// # Errors
    /// As [`get`](Self::get), for any of the members.
    pub fn all(&self) -> Result<Vec<(String, Tensor)>, NumpyError> {
        let entries = &self.directory.entries;
        check_all(&mut self.reader(), entries, self.storage.len_bytes() as u64, &self.place)?;
        let named = |entry: &Entry| {
            let array = self.get_entry(entry);
            let array = array.map_err(|error| error.at(&self.place.member(&entry.name)))?;
            Ok((entry.key().to_owned(), array))
        };
        room::collected(entries.iter().map(named))
    }

    fn reader(&self) -> FileAt<'_> {
        FileAt::start(&self.file)
    }

    fn get_entry(&self, entry: &Entry) -> Result<Tensor, NumpyError> {
        let unpack = || get_entry(&mut self.reader(), entry, self.storage.len_bytes() as u64);
        if entry.method != STORED {
            return unpack();
        }
        let (data_at, header) = Member::locate(&mut self.reader(), entry)?.stored_header()?;
        if npy::check_byte_order(&header).is_err() {
            return unpack();
        }
        // The member ends inside the file, so this is no larger than the file.
        let layout = npy::layout_at(&header, data_at as usize + header.data_offset())?;
        let tensor = Tensor::from_parts(self.storage.clone(), header.dtype(), layout)?;
        Ok(tensor.with_receipt(Receipt::shared("npz::map")))
    }
}
