//! Archives written by NumPy itself.

use ndbridge_numpy::npz::{self, Npz};
use ndbridge_numpy::{FormatError, NumpyError};
use ndbridge_tensor::dtype::ByteOrder;
use ndbridge_tensor::{CopyReason, array_equal};

use crate::support::{assert_follows_rule, data};

#[test]
fn dty_1_archives_load_and_map_with_their_values() {
    for name in ["stored", "deflated", "commented", "prefixed", "streamed"] {
        let path = data(&format!("{name}.npz"));
        let loaded = npz::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let mapped = npz::map(&path).unwrap().all().unwrap();
        let names: Vec<_> = loaded.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"], "{name}");
        let shapes: Vec<_> = loaded.iter().map(|(_, array)| array.shape().to_vec()).collect();
        assert_eq!(shapes, [vec![3, 4], vec![5], vec![2, 3]], "{name}");
        for ((_, loaded), (_, mapped)) in loaded.iter().zip(&mapped) {
            assert_follows_rule(loaded, name);
            assert!(array_equal(loaded, mapped).unwrap(), "{name}");
        }
    }
    assert!(npz::load(data("no_members.npz")).unwrap().is_empty());
    assert!(npz::map(data("no_members.npz")).unwrap().is_empty());
}

#[test]
fn fil_3_stored_members_share_one_mapping() {
    let archive = npz::map(data("commented.npz")).unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|name| archive.get(name).unwrap());
    assert!(a.receipt().is_shared() && a.is_read_only());
    assert!(b.receipt().copied_bytes() > 0, "deflated");
    // Member c is big-endian.
    assert_eq!(c.receipt().is_shared(), ByteOrder::NATIVE == ByteOrder::Big);
    assert!(c.receipt().reasons().contains(CopyReason::ByteOrder));
    let again = archive.get("a").unwrap();
    assert_eq!(again.as_ptr(), a.as_ptr());
    drop((archive, again));
    assert_follows_rule(&a, "outlives the archive");
}

#[test]
fn names_are_keys_and_nothing_else() {
    let mut archive = Npz::open(data("names.npz")).unwrap();
    let names: Vec<String> = archive.names().map(str::to_owned).collect();
    assert_eq!(names, ["plain", "Größe", "測定/値", "../up", "with space.npy"]);
    for (k, name) in names.iter().enumerate() {
        assert_eq!(archive.get(name).unwrap().to_vec::<i64>().unwrap(), [k as i64]);
        let in_archive = format!("{name}.npy");
        assert_eq!(archive.header(&in_archive).unwrap().shape(), [0_usize; 0]);
    }
    let error = archive.get("missing").unwrap_err();
    assert!(error.to_string().ends_with("names.npz has no array \"missing\""), "{error}");
}

#[test]
fn one_member_that_is_no_array_leaves_the_others() {
    let mut archive = Npz::open(data("mixed.npz")).unwrap();
    assert_follows_rule(&archive.get("good").unwrap(), "good");
    let error = archive.get("text").unwrap_err().to_string();
    assert!(error.contains("mixed.npz, member \"text.npy\", byte "), "{error}");
    assert!(npz::load(data("mixed.npz")).is_err());
}

#[test]
fn other_methods_are_refused_by_number() {
    let mut archive = Npz::open(data("bzip2.npz")).unwrap();
    let error = archive.get("a").unwrap_err();
    let is_method =
        matches!(error, NumpyError::Format { reason: FormatError::Method { method: 12 }, .. });
    assert!(is_method, "{error}");
}

#[test]
fn an_archive_is_read_from_any_seekable_stream() {
    let bytes = std::fs::read(data("stored.npz")).unwrap();
    let mut archive = Npz::new(std::io::Cursor::new(bytes)).unwrap();
    assert_eq!((archive.len(), archive.is_empty()), (3, false));
    assert_follows_rule(&archive.get("a").unwrap(), "cursor");
    let error = archive.get("no").unwrap_err().to_string();
    assert_eq!(error, "stream has no array \"no\"");
}
