//! Files written by NumPy itself: every dtype, order, byte order and version.

use std::path::{Path, PathBuf};

use ndbridge_numpy::npy::{self, Header};
use ndbridge_tensor::dtype::ByteOrder;
use ndbridge_tensor::{CopyReason, DType, Order, array_equal};

use crate::support::{assert_follows_rule, data, data_files, name_of, npy_bytes};

/// Files of arrays that follow the rule of `generate.py`.
fn arrays() -> Vec<PathBuf> {
    data_files("npy", |name| !name.starts_with("refused_") && name != "sliced.npy")
}

fn header_of(path: &Path) -> Header {
    let bytes = std::fs::read(path).unwrap();
    Header::read(&mut bytes.as_slice(), Some(bytes.len() as u64)).unwrap()
}

#[test]
fn dty_1_every_file_loads_with_its_values() {
    let mut dtypes = std::collections::BTreeSet::new();
    for path in arrays() {
        let tensor = npy::load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_follows_rule(&tensor, &path.display().to_string());
        dtypes.insert(tensor.dtype());
    }
    assert_eq!(dtypes.len(), 14, "{dtypes:?}");
    assert!(arrays().len() >= 60);
}

#[test]
fn dty_1_dtype_shape_and_order_are_the_files_own() {
    use DType::{Bool, C64, C128, F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
    let codes = [Bool, I8, I16, I32, I64, U8, U16, U32, U64, F16, F32, F64, C64, C128];
    for dtype in codes {
        for (letter, order) in [("c", Order::C), ("f", Order::F)] {
            let header = header_of(&data(&format!("{dtype}_le_{letter}.npy")));
            let found = (header.dtype(), header.shape(), header.order());
            assert_eq!(found, (dtype, &[3, 4][..], order));
        }
    }
    let cases: [(&str, &[usize]); 5] = [
        ("scalar.npy", &[]),
        ("vector.npy", &[7]),
        ("empty_vector.npy", &[0]),
        ("empty_c.npy", &[2, 0, 3]),
        ("python2.npy", &[2, 3]),
    ];
    for (name, shape) in cases {
        assert_eq!(npy::load(data(name)).unwrap().shape(), shape, "{name}");
    }
    assert_eq!(npy::load(data("many_axes.npy")).unwrap().ndim(), 32);
}

#[test]
fn fil_3_map_equals_load_and_shares() {
    for path in arrays() {
        let name = path.display().to_string();
        let header = header_of(&path);
        let mapped = npy::map(&path);
        if header.byte_order() != ByteOrder::NATIVE && header.dtype().item_bytes() > 1 {
            let error = mapped.unwrap_err().to_string();
            assert!(error.contains("load()"), "{error}");
            continue;
        }
        let mapped = mapped.unwrap();
        assert!(mapped.is_read_only() && mapped.receipt().is_shared(), "{name}");
        assert_follows_rule(&mapped, &name);
        assert!(array_equal(&mapped, &npy::load(&path).unwrap()).unwrap(), "{name}");
    }
}

#[test]
fn shr_5_other_byte_order_is_turned_by_copying() {
    let loaded = npy::load(data("float64_be_f.npy")).unwrap();
    assert!(loaded.receipt().reasons().contains(CopyReason::ByteOrder));
    assert_eq!(loaded.receipt().copied_bytes(), 96);
    let native = npy::load(data("float64_le_f.npy")).unwrap();
    assert!(!native.receipt().reasons().contains(CopyReason::ByteOrder));
    assert!(array_equal(&loaded, &native).unwrap());
}

#[test]
fn writing_gives_numpys_bytes() {
    let mut compared = 0;
    for path in arrays() {
        let name = name_of(&path);
        // NumPy itself writes none of these any more when it saves the array again.
        if name.contains("_be_")
            || ["version_2.npy", "version_3.npy", "python2.npy"].contains(&name)
        {
            continue;
        }
        let written = npy_bytes(&npy::load(&path).unwrap());
        assert!(written == std::fs::read(&path).unwrap(), "{name}");
        compared += 1;
    }
    assert!(compared >= 36, "{compared}");
}

#[test]
fn dty_4_refused_by_name() {
    let cases = [
        ("refused_object.npy", "pickle"),
        ("refused_text.npy", "U"),
        ("refused_bytes.npy", "S"),
        ("refused_datetime.npy", "datetime"),
        ("refused_timedelta.npy", "timedelta"),
        ("refused_void.npy", "V2"),
        ("refused_longdouble.npy", "long double"),
        ("refused_structured.npy", "structured"),
        ("refused_structured_v3.npy", "structured"),
    ];
    for (name, word) in cases {
        for result in [npy::load(data(name)), npy::map(data(name))] {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(word) && error.contains(name), "{error}");
            assert!(error.contains("byte "), "{error}");
        }
    }
}
