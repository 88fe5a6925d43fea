//! Atomic replacement of files: the old file or the new one is there, never half of one.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf, absolute};

/// Longest chain of symbolic links that is followed, as in Linux.
const MAX_LINKS: usize = 40;

/// Names that are tried for a temporary file; each is 64 random bits.
const MAX_NAMES: usize = 100;

/// Writes a file by `write` into a temporary file beside `path`, then moves it to `path`.
///
/// A symbolic link stays and what it points to is replaced. The permissions of a replaced file
/// are kept; a new file gets what the process gives its files. Who has the old file open or mapped
/// keeps the old file. What is no regular file (a pipe, `/dev/null`) cannot be replaced and is
/// written directly. A process that is killed meanwhile leaves a file `.ndbridge-*` behind.
///
/// ```
/// use std::io::{self, Write as _};
///
/// use ndbridge_storage::replace_file;
/// # let folder = tempfile::tempdir()?;
/// # let path = &folder.path().join("numbers");
/// replace_file(path, |file| file.write_all(b"1 2 3"))?;
///
/// let failed = replace_file(path, |file| {
///     file.write_all(b"4 5")?;
///     Err(io::Error::other("no more numbers"))
/// });
/// assert_eq!(failed.unwrap_err().to_string(), "no more numbers");
/// assert_eq!(std::fs::read(path)?, b"1 2 3"); // not "4 5"
/// # io::Result::Ok(())
/// ```
///
/// # Errors
/// The system's, or what `write` gives; the old file is as it was, and no temporary one is left.
pub fn replace_file<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<(), E>,
) -> Result<(), E> {
    let old = match fs::metadata(path) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    if old.is_some() {
        // Asks the system whether this file may be written; changes nothing yet.
        let mut file = OpenOptions::new().write(true).open(path)?;
        if !old.as_ref().is_some_and(fs::Metadata::is_file) {
            return write(&mut file);
        }
    }
    // Another thread may change the current folder meanwhile.
    let target = absolute(follow_links(path)?)?;
    let folder = target.parent().ok_or(io::ErrorKind::IsADirectory).map_err(io::Error::from)?;
    let mut temporary = Temporary::create(folder)?;
    write(&mut temporary.file)?;
    if let Some(old) = old {
        temporary.file.set_permissions(old.permissions())?;
    }
    temporary.file.sync_all()?;
    temporary.move_to(&target)?;
    sync_folder(folder);
    Ok(())
}

/// A new file that is removed when dropped, unless it was moved.
struct Temporary {
    file: File,
    path: PathBuf,
}

impl Temporary {
    fn create(folder: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        for _ in 0..MAX_NAMES {
            // A forked child has the random state of its parent, and another number.
            let random = RandomState::new().hash_one(std::process::id());
            let path = folder.join(format!(".ndbridge-{random:016x}"));
            match options.open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                opened => return Ok(Self { file: opened?, path }),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn move_to(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        // Nothing is left to be removed.
        self.path.clear();
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Where `path` leads, also if nothing is there yet.
fn follow_links(path: &Path) -> io::Result<PathBuf> {
    let mut target = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        match fs::symlink_metadata(&target) {
            Ok(metadata) if metadata.is_symlink() => {
                let link = fs::read_link(&target)?;
                target.pop();
                target.push(link);
            }
            _ => return Ok(target),
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "too many symbolic links"))
}

/// Makes the new name durable. Not every file system can, and the file itself is safe already.
fn sync_folder(folder: &Path) {
    if cfg!(unix)
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
}
