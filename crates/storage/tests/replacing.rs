//! FIL-3: the old file or the new one, never half.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]
#![cfg(not(miri))]

use std::fs;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ndbridge_storage::replace_file;

fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_file(path, |file| file.write_all(bytes))
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs one test of this file in a process of its own, which finds `path` in `variable`.
fn child(mut command: Command, test: &str, variable: &str, path: &Path) -> Child {
    command.args(["--exact", test, "--nocapture"]).env(variable, path);
    command.stdout(Stdio::null()).spawn().unwrap()
}

#[test]
fn fil_3_a_writer_that_fails_leaves_the_old_file() {
    #[derive(Debug)]
    struct Refused;
    impl From<io::Error> for Refused {
        fn from(error: io::Error) -> Self {
            panic!("{error}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for old in [&[][..], &["x".to_owned()]] {
        let refused = replace_file(&path, |file| {
            file.write_all(b"new").unwrap();
            Err(Refused)
        });
        assert!(matches!(refused, Err(Refused)));
        let panicked =
            AssertUnwindSafe(|| replace_file::<io::Error>(&path, |_| panic!("a writer")));
        assert!(catch_unwind(panicked).is_err());
        assert_eq!(names(folder.path()), old, "nothing is left behind");
        save(&path, b"old").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }
}

#[test]
fn fil_3_who_has_the_old_file_open_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    save(&path, b"old").unwrap();
    let old = fs::File::open(&path).unwrap();
    save(&path, b"new, and longer").unwrap();
    assert_eq!(io::read_to_string(old).unwrap(), "old");
    assert_eq!(fs::read(&path).unwrap(), b"new, and longer");
    assert_eq!(names(folder.path()), ["x"]);
}

#[test]
fn fil_3_of_many_writers_at_once_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let path = &folder.path().join("x");
    std::thread::scope(|scope| {
        for value in 0..8 {
            scope.spawn(move || save(path, &[value; 50_000]).unwrap());
        }
    });
    whole(path, 50_000);
    assert_eq!(names(folder.path()), ["x"]);
}

/// The value that fills the file, which must be whole.
fn whole(path: &Path, len: usize) -> u8 {
    let found = fs::read(path).unwrap();
    assert_eq!(found.len(), len);
    assert!(found.iter().all(|&value| value == found[0]), "half old, half new");
    found[0]
}

/// Set in the process that saves until it is killed.
const SAVER: &str = "NDBRIDGE_TEST_SAVES_TO";

#[test]
fn fil_3_a_killed_process_leaves_the_old_file_or_the_new_one() {
    const LEN: usize = 200_000;
    if let Some(path) = std::env::var_os(SAVER) {
        // It ends by itself should nobody be left to kill it.
        for value in (0..255).cycle().take(10_000) {
            save(Path::new(&path), &[value; LEN]).unwrap();
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for round in 0..15 {
        save(&path, &[255; LEN]).unwrap();
        let this = Command::new(std::env::current_exe().unwrap());
        let test = "fil_3_a_killed_process_leaves_the_old_file_or_the_new_one";
        let mut saver = child(this, test, SAVER, &path);
        // Each time a little later.
        while !(round..255).contains(&whole(&path, LEN)) {
            assert!(saver.try_wait().unwrap().is_none(), "the process saved nothing");
        }
        saver.kill().unwrap();
        saver.wait().unwrap();
        assert_ne!(whole(&path, LEN), 255);
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    /// Set in the process that may write no large file.
    const LIMITED: &str = "NDBRIDGE_TEST_HAS_NO_ROOM_FOR";

    #[test]
    fn fil_3_a_disk_without_room_leaves_the_old_file() {
        if let Some(path) = std::env::var_os(LIMITED) {
            let error = save(Path::new(&path), &[1; 1 << 20]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        save(&path, b"old").unwrap();
        let mut limited = Command::new("sh");
        let script = "ulimit -f 16 && trap '' XFSZ && exec \"$0\" \"$@\"";
        limited.args(["-c", script]).arg(std::env::current_exe().unwrap());
        let test = "unix::fil_3_a_disk_without_room_leaves_the_old_file";
        assert!(child(limited, test, LIMITED, &path).wait().unwrap().success());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["x"], "nothing is left behind");
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn fil_3_permissions_are_those_of_a_usual_file_or_of_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let (usual, path) = (folder.path().join("usual"), folder.path().join("x"));
        fs::write(&usual, b"").unwrap();
        save(&path, b"1").unwrap();
        assert_eq!(mode(&path), mode(&usual));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        save(&path, b"2").unwrap();
        assert_eq!(mode(&path), 0o640);
    }

    #[test]
    fn fil_3_a_link_stays_and_its_target_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, link) = (folder.path().join("inner"), folder.path().join("link"));
        fs::create_dir(&inner).unwrap();
        symlink("inner/x", &link).unwrap();
        for value in [b"1", b"2"] {
            // The first time the link leads nowhere yet.
            save(&link, value).unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(fs::read(inner.join("x")).unwrap(), value);
        }
        assert_eq!(names(folder.path()), ["inner", "link"]);
        assert_eq!(names(&inner), ["x"]);
        let (first, second) = (folder.path().join("1"), folder.path().join("2"));
        symlink(&second, &first).unwrap();
        symlink(&first, &second).unwrap();
        assert!(save(&first, b"1").is_err());
    }

    #[test]
    fn fil_3_a_device_is_written_and_not_replaced() {
        let before = fs::metadata("/dev/null").unwrap().ino();
        save(Path::new("/dev/null"), b"1").unwrap();
        assert_eq!(fs::metadata("/dev/null").unwrap().ino(), before);
    }

    #[test]
    fn fil_3_a_pipe_is_written_directly() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let reading = path.clone();
        let reader = std::thread::spawn(move || fs::read(reading).unwrap());
        save(&path, b"12").unwrap();
        assert_eq!(reader.join().unwrap(), b"12");
        assert_eq!(names(folder.path()), ["pipe"]);
    }
}

#[test]
fn what_is_no_place_for_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(save(&folder.path().join("no/such/x"), b"1").is_err());
    assert!(save(folder.path(), b"1").is_err(), "a folder");
    assert!(save(Path::new("/"), b"1").is_err());
    assert!(save(Path::new(""), b"1").is_err());
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_file_in_the_current_folder_needs_no_path() {
    // Relative paths have an empty parent; nothing may be written to `/`.
    let name = format!("ndbridge-test-{}", std::process::id());
    save(Path::new(&name), b"1").unwrap();
    let found = fs::read(&name);
    fs::remove_file(&name).unwrap();
    assert_eq!(found.unwrap(), b"1");
}
