//! Writing any layout.

use std::io::{self, Write};

use ndbridge_numpy::npy::{self, MapMode};
use ndbridge_tensor::{CopyOrder, DType, Index, Tensor, array_equal, copies};

use crate::support::{data, npy_bytes};

const ALL: Index = Index::Slice { start: None, stop: None, step: 1 };

fn counting(shape: &[usize]) -> Tensor {
    let len: usize = shape.iter().product();
    Tensor::from_vec_with_shape((0..len as i32).collect(), shape).unwrap()
}

fn step(step: isize) -> Index {
    Index::Slice { start: None, stop: None, step }
}

#[test]
fn a_view_is_written_as_numpy_writes_it() {
    let view = counting(&[4, 6]).index(&[step(2), step(-1)]).unwrap();
    assert_eq!(npy_bytes(&view), std::fs::read(data("sliced.npy")).unwrap());
}

#[test]
fn dty_1_every_layout_comes_back_equal() {
    let base = counting(&[6, 5, 4]);
    let large = counting(&[60, 70, 80]);
    let row = Tensor::from_vec(vec![7_i32; 300_000]);
    let views = [
        base.clone(),
        base.transpose().unwrap(),
        base.permute(&[1, 0, 2]).unwrap(),
        base.flip(&[0, 2]).unwrap(),
        base.index(&[step(3), ALL, step(-2)]).unwrap(),
        base.select(1, 2).unwrap(),
        base.diagonal(0, 0, 1).unwrap(),
        base.select(0, 0).unwrap().select(0, 0).unwrap().select(0, 3).unwrap(),
        base.index(&[Index::Slice { start: Some(2), stop: Some(2), step: 1 }]).unwrap(),
        base.unsqueeze(1).unwrap(),
        counting(&[1, 4]).broadcast_to(&[3, 4]).unwrap(),
        large.flip(&[1]).unwrap(),
        large.permute(&[2, 0, 1]).unwrap(),
        row.broadcast_to(&[3, 300_000]).unwrap().flip(&[1]).unwrap(),
        row.unsqueeze(0).unwrap().flip(&[1]).unwrap(),
    ];
    for view in &views {
        let read = npy::read(npy_bytes(view).as_slice(), None).unwrap();
        assert!(array_equal(&read, view).unwrap(), "{view:?}");
        assert_eq!((read.shape(), read.dtype()), (view.shape(), view.dtype()));
    }
}

#[test]
fn shr_8_contiguous_arrays_are_written_from_where_they_lie() {
    let base = counting(&[30, 40]);
    let before = copies().copies;
    npy::write(io::sink(), &base).unwrap();
    npy::write(io::sink(), &base.transpose().unwrap()).unwrap();
    npy::write(io::sink(), &base.select(0, 3).unwrap()).unwrap();
    assert_eq!(copies().copies, before);
    npy::write(io::sink(), &base.flip(&[0]).unwrap()).unwrap();
    assert_eq!(copies().copies, before + 1);
}

#[test]
fn dty_4_dtypes_without_a_code_are_refused_with_the_way_out() {
    for dtype in [DType::BF16, DType::F8E4M3, DType::F8E5M2] {
        let tensor = Tensor::zeros(&[2], dtype).unwrap();
        let error = npy::write(io::sink(), &tensor).unwrap_err().to_string();
        assert!(error.contains(dtype.name()) && error.contains("to_dtype"), "{error}");
        npy::write(io::sink(), &tensor.to_dtype(DType::F32).unwrap()).unwrap();
    }
}

#[test]
fn mut_1_a_tensor_that_is_being_written_is_not_saved() {
    let tensor = counting(&[3]);
    let guard = tensor.write::<i32>().unwrap();
    assert!(npy::write(io::sink(), &tensor).unwrap_err().to_string().contains("already borrowed"));
    drop(guard);
    npy::write(io::sink(), &tensor).unwrap();
}

#[test]
fn a_full_disk_is_an_error() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let tensor = counting(&[100]);
    for room in [0, 127, 128, 300, 527] {
        assert!(npy::write(Full(room), &tensor).is_err(), "{room}");
    }
    npy::write(Full(528), &tensor).unwrap();
}

#[test]
fn map_modes_do_what_numpys_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    npy::save(&path, &counting(&[4])).unwrap();
    let on_disk = || npy::load(&path).unwrap().to_vec::<i32>().unwrap();

    let read = npy::map(&path).unwrap();
    assert!(read.write::<i32>().is_err());

    let private = npy::map_with(&path, MapMode::CopyOnWrite).unwrap();
    private.write::<i32>().unwrap()[[0]] = 10;
    assert_eq!((private.read::<i32>().unwrap()[[0]], on_disk()[0]), (10, 0));

    let shared = npy::map_with(&path, MapMode::ReadWrite).unwrap();
    shared.write::<i32>().unwrap()[[0]] = 20;
    drop(shared);
    assert_eq!(on_disk(), [20, 1, 2, 3]);
    assert_eq!(private.read::<i32>().unwrap()[[0]], 10);
}

#[test]
fn an_unaligned_map_refuses_guards_and_copies() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let dict = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}";
    let values: Vec<u8> = [1.5_f64, 2.5].iter().flat_map(|value| value.to_ne_bytes()).collect();
    let spare = (0..8).find(|spaces| (10 + dict.len() + spaces) % 8 == 3).unwrap();
    let dict = format!("{dict}{}", " ".repeat(spare));
    std::fs::write(&path, crate::support::npy_with(&dict, &values)).unwrap();
    let mapped = npy::map(&path).unwrap();
    assert!(mapped.read::<f64>().is_err());
    assert_eq!(mapped.copy(CopyOrder::C).unwrap().to_vec::<f64>().unwrap(), [1.5, 2.5]);
    assert_eq!(npy::load(&path).unwrap().to_vec::<f64>().unwrap(), [1.5, 2.5]);
}

#[test]
fn empty_arrays_are_mapped() {
    for mode in [MapMode::Read, MapMode::CopyOnWrite] {
        let mapped = npy::map_with(data("empty_c.npy"), mode).unwrap();
        assert_eq!((mapped.shape(), mapped.is_empty()), (&[2, 0, 3][..], true));
        assert_eq!(mapped.is_read_only(), mode == MapMode::Read);
    }
}

#[test]
fn mut_5_a_bool_file_is_checked_when_it_is_read() {
    let dict = "{'descr': '|b1', 'fortran_order': False, 'shape': (3,)}";
    let tensor = npy::read(crate::support::npy_with(dict, &[1, 2, 0]).as_slice(), None).unwrap();
    let error = tensor.read::<bool>().unwrap_err().to_string();
    assert!(error.contains('1') && error.contains('2'), "{error}");
}
