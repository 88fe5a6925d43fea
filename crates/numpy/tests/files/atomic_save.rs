//! FIL-3: the old file or the new one, never half.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use ndbridge_numpy::{npy, npz};
use ndbridge_tensor::{DType, Tensor};

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn values(tensor: &Tensor) -> Vec<i32> {
    tensor.to_vec().unwrap()
}

#[test]
fn fil_3_a_failed_save_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let old = Tensor::from_vec(vec![1, 2, 3]);
    npy::save(&path, &old).unwrap();
    // The second array cannot be written, after the first one was.
    let bad = Tensor::zeros(&[4], DType::BF16).unwrap();
    let large = Tensor::from_vec(vec![7_u8; 100_000]);
    assert!(npy::save(&path, &bad).is_err());
    assert!(npz::save(&path, [("large", &large), ("bad", &bad)]).is_err());
    let busy = Tensor::from_vec(vec![4, 5, 6]);
    let guard = busy.write::<i32>().unwrap();
    assert!(npy::save(&path, &busy).is_err());
    drop(guard);
    assert_eq!(values(&npy::load(&path).unwrap()), [1, 2, 3]);
    assert_eq!(names(folder.path()), ["x.npy"], "nothing is left behind");
    npy::save(&path, &busy).unwrap();
    assert_eq!(values(&npy::load(&path).unwrap()), [4, 5, 6]);
    assert_eq!(names(folder.path()), ["x.npy"]);
}

#[test]
fn fil_3_a_map_keeps_the_file_it_mapped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    npy::save(&path, &Tensor::from_vec(vec![1, 2, 3])).unwrap();
    let mapped = npy::map(&path).unwrap();
    npy::save(&path, &mapped.flip(&[0]).unwrap()).unwrap();
    assert_eq!(values(&mapped), [1, 2, 3]);
    assert_eq!(values(&npy::load(&path).unwrap()), [3, 2, 1]);
}

/// Set in the process that saves until it is killed.
const SAVER: &str = "NDBRIDGE_TEST_SAVES_TO";

/// The value that fills the file, which must be whole.
fn whole(path: &Path) -> u8 {
    let found = npy::load(path).unwrap().to_vec::<u8>().unwrap();
    assert_eq!(found.len(), 200_000);
    assert!(found.iter().all(|&value| value == found[0]), "half old, half new");
    found[0]
}

#[test]
fn fil_3_a_killed_process_leaves_the_old_file_or_the_new_one() {
    let array = |value: u8| Tensor::from_vec(vec![value; 200_000]);
    if let Some(path) = std::env::var_os(SAVER) {
        // It ends by itself should nobody be left to kill it.
        for value in (0..255).cycle().take(10_000) {
            npy::save(&path, &array(value)).unwrap();
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..15 {
        npy::save(&path, &array(255)).unwrap();
        let mut saver = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "atomic_save::fil_3_a_killed_process_leaves_the_old_file_or_the_new_one",
            ])
            .env(SAVER, &path)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let start = std::time::Instant::now();
        while whole(&path) == 255 && start.elapsed().as_secs() < 20 {}
        std::thread::sleep(std::time::Duration::from_millis(round));
        saver.kill().unwrap();
        saver.wait().unwrap();
        seen.insert(whole(&path));
    }
    assert!(seen.len() > 1 && !seen.contains(&255), "the process saved nothing: {seen:?}");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn permissions_are_those_of_a_usual_file_or_of_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let (usual, path) = (folder.path().join("usual"), folder.path().join("x.npy"));
        fs::write(&usual, b"").unwrap();
        let array = Tensor::from_vec(vec![1]);
        npy::save(&path, &array).unwrap();
        assert_eq!(mode(&path), mode(&usual));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        npy::save(&path, &array).unwrap();
        assert_eq!(mode(&path), 0o640);
    }

    #[test]
    fn a_link_stays_and_its_target_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, link) = (folder.path().join("inner"), folder.path().join("link.npy"));
        fs::create_dir(&inner).unwrap();
        symlink("inner/x.npy", &link).unwrap();
        for value in [1, 2] {
            // The first time the link leads nowhere yet.
            npy::save(&link, &Tensor::from_vec(vec![value])).unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(values(&npy::load(inner.join("x.npy")).unwrap()), [value]);
        }
        assert_eq!(names(folder.path()), ["inner", "link.npy"]);
        let (first, second) = (folder.path().join("1"), folder.path().join("2"));
        symlink(&second, &first).unwrap();
        symlink(&first, &second).unwrap();
        assert!(npy::save(&first, &Tensor::from_vec(vec![1])).is_err());
    }

    #[test]
    fn a_device_is_written_and_not_replaced() {
        let before = fs::metadata("/dev/null").unwrap().ino();
        npy::save("/dev/null", &Tensor::from_vec(vec![1])).unwrap();
        assert_eq!(fs::metadata("/dev/null").unwrap().ino(), before);
    }

    #[test]
    fn a_pipe_is_written_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let reading = path.clone();
        let reader = std::thread::spawn(move || npy::load(reading).unwrap());
        npy::save(&path, &Tensor::from_vec(vec![1, 2])).unwrap();
        assert_eq!(values(&reader.join().unwrap()), [1, 2]);
    }
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no/such/x.npy");
    let array = Tensor::from_vec(vec![1]);
    let shown = missing.display().to_string();
    let errors = [
        npy::save(&missing, &array).unwrap_err(),
        npy::load(&missing).unwrap_err(),
        npy::map(&missing).unwrap_err(),
        npz::load(&missing).unwrap_err(),
        npz::map(&missing).unwrap_err(),
        npz::save(&missing, [("a", &array)]).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().starts_with(&shown), "{error}");
    }
    assert!(npy::save(folder.path(), &array).is_err(), "a folder");
    assert!(npy::load(folder.path()).is_err(), "a folder");
}

#[test]
fn a_file_in_the_current_folder_needs_no_path() {
    // Relative paths have an empty parent; nothing may be written to `/`.
    let name = format!("ndbridge-test-{}.npy", std::process::id());
    npy::save(&name, &Tensor::from_vec(vec![1])).unwrap();
    let mut start = [0; 6];
    fs::File::open(&name).and_then(|mut file| file.read_exact(&mut start)).unwrap();
    fs::remove_file(&name).unwrap();
    assert_eq!(&start, b"\x93NUMPY");
}
