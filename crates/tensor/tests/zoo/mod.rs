//! Views of every sort, and the slow obvious way to read them.
//!
//! Nothing here goes through the crate's copy engine: elements are put into, and taken out of, a
//! snapshot of the storage's bytes by index arithmetic that is written out again.
#![allow(dead_code, clippy::allow_attributes, reason = "each test file uses a part of this")]

use bytemuck::{bytes_of, checked::pod_read_unaligned};
use ndbridge_tensor::dtype::{Kind, match_dtype};
use ndbridge_tensor::storage::Storage;
use ndbridge_tensor::{DType, Element, Layout, Order, Scalar, Tensor};

/// A tensor, and the parts it was made from.
pub struct Specimen {
    pub name: &'static str,
    pub tensor: Tensor,
}

/// Bytes of every storage of the zoo: room for the widest specimen of the widest item.
const STORAGE_BYTES: usize = 320;

/// The shape that most specimens have, so that they can be assigned to each other.
pub const SHAPE: [usize; 2] = [2, 3];

/// Every sort of view: `(name, shape, strides, offset)` for items of `b` bytes.
fn layouts(b: isize) -> Vec<(&'static str, Vec<usize>, Vec<isize>, isize)> {
    let s = || SHAPE.to_vec();
    vec![
        ("contiguous", s(), vec![3 * b, b], 0),
        ("offset", s(), vec![3 * b, b], 5 * b),
        ("fortran", s(), vec![b, 2 * b], b),
        ("reversed", s(), vec![-3 * b, -b], 7 * b),
        ("half reversed", s(), vec![3 * b, -b], 4 * b),
        ("stepped", s(), vec![12 * b, 2 * b], b),
        ("permuted, stepped, reversed", s(), vec![2 * b, -6 * b], 14 * b),
        ("broadcast rows", s(), vec![0, b], 2 * b),
        ("broadcast columns", s(), vec![2 * b, 0], 0),
        ("broadcast scalar", s(), vec![0, 0], 3 * b),
        ("sliding windows", s(), vec![b, b], b),
        ("interleaved axes", s(), vec![3 * b, 2 * b], b),
        ("unaligned", s(), vec![3 * b, b], 1),
        ("unaligned, reversed", s(), vec![-3 * b, b], 3 * b + 1),
        ("record field", s(), vec![3 * (b + 3), b + 3], 3),
        ("record field, reversed", s(), vec![3 * (b + 3), -(b + 3)], 2 * (b + 3)),
        ("rank 0", vec![], vec![], 3 * b),
        ("rank 0, unaligned", vec![], vec![], 5),
        ("one axis", vec![5], vec![b], b),
        ("one element, odd strides", vec![1, 1], vec![-7, isize::MAX], b),
        ("axes of length 1, odd strides", vec![1, 3, 1], vec![13, 2 * b, -1], 0),
        ("zero-size", vec![0], vec![b], 0),
        ("zero-size inside", vec![2, 0, 3], vec![-b, 3, 0], 4 * b),
        ("zero-size, offset past the end", vec![0, 4], vec![b, b], 1 << 40),
        ("five axes", vec![2, 1, 2, 1, 3], vec![6 * b, 9 * b, -3 * b, 1, b], 3 * b),
        ("five axes, mixed", vec![2, 2, 1, 2, 2], vec![b, -8 * b, 5, 2 * b, 4 * b], 9 * b),
    ]
}

/// The zoo for one data type. Every specimen has a storage of its own.
pub fn zoo(dtype: DType) -> Vec<Specimen> {
    let (b, bytes) = (dtype.item_bytes(), bytes(dtype));
    let storage = || Storage::copied_from(&bytes).expect("a few bytes");
    let specimen = |(name, shape, strides, offset): (_, Vec<usize>, Vec<isize>, isize)| {
        let layout = Layout::new(&shape, &strides, offset as usize, b).expect(name);
        Specimen { name, tensor: Tensor::from_parts(storage(), dtype, layout).expect(name) }
    };
    layouts(b as isize).into_iter().map(specimen).collect()
}

/// The specimens of [`SHAPE`].
pub fn same_shape(dtype: DType) -> Vec<Specimen> {
    zoo(dtype).into_iter().filter(|specimen| specimen.tensor.shape() == SHAPE).collect()
}

/// Whether the layout reaches no byte twice, found by marking every byte.
pub fn reaches_once(tensor: &Tensor) -> bool {
    let mut bytes: Vec<usize> = element_offsets(tensor)
        .into_iter()
        .flat_map(|at| at..at + tensor.dtype().item_bytes())
        .collect();
    let reached = bytes.len();
    bytes.sort_unstable();
    bytes.dedup();
    bytes.len() == reached
}

/// Whether guards can express the layout: aligned, strides of whole items.
pub fn is_whole(tensor: &Tensor) -> bool {
    let (item, align) = (tensor.dtype().item_bytes(), tensor.dtype().align_bytes());
    tensor.is_empty()
        || tensor.as_ptr().addr().is_multiple_of(align)
            && tensor
                .shape()
                .iter()
                .zip(tensor.strides())
                .all(|(&len, &stride)| len == 1 || stride.unsigned_abs().is_multiple_of(item))
}

/// Valid elements at every item boundary; at odd offsets the bytes of two neighbours mix, which
/// gives valid elements too, since bools are one byte wide.
fn bytes(dtype: DType) -> Vec<u8> {
    match_dtype!(dtype, T => {
        let values: Vec<T> = (0..STORAGE_BYTES / size_of::<T>()).map(sample).collect();
        bytemuck::cast_slice::<T, u8>(&values).to_vec()
    })
}

/// A value that tells which one it is, small enough for every type.
pub fn sample<T: Element>(number: usize) -> T {
    match T::DTYPE.kind() {
        Kind::Bool => Scalar::Bool(number % 3 != 1),
        Kind::Complex => Scalar::Complex(ndbridge_tensor::dtype::Complex::new(
            number as f64 - 5.0,
            0.5 + number as f64,
        )),
        Kind::Float => Scalar::Float((number % 31) as f64 * 0.25 - 3.0),
        Kind::Int => Scalar::Int(number as i64 % 100 - 40),
        _ => Scalar::UInt(number as u64 % 100),
    }
    .to_element()
}

/// All bytes of a storage as a tensor.
pub fn bytes_tensor(storage: &Storage) -> Tensor {
    let layout = Layout::contiguous(&[storage.len_bytes()], 1, Order::C).expect("one axis");
    Tensor::from_parts(storage.clone(), DType::U8, layout).expect("the storage's own length")
}

/// A copy of all bytes of the storage.
pub fn snapshot(tensor: &Tensor) -> Vec<u8> {
    bytes_tensor(tensor.storage()).bytes().expect("not borrowed").to_vec()
}

/// Every index of a shape, last axis fastest.
pub fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    if shape.contains(&0) {
        return Vec::new(); // the other lengths may be beyond counting
    }
    shape.iter().fold(vec![vec![]], |heads, &len| {
        let longer = |head: &Vec<usize>| {
            let head = head.clone();
            (0..len).map(move |at| [head.clone(), vec![at]].concat()).collect::<Vec<_>>()
        };
        heads.iter().flat_map(longer).collect()
    })
}

/// Byte offset of every element, in C order.
pub fn element_offsets(tensor: &Tensor) -> Vec<usize> {
    let offset = |index: &Vec<usize>| {
        let steps =
            index.iter().zip(tensor.strides()).map(|(&at, &stride)| at as i128 * stride as i128);
        usize::try_from(tensor.layout().offset() as i128 + steps.sum::<i128>()).expect("inside")
    };
    indices(tensor.shape()).iter().map(offset).collect()
}

/// Every element, in C order, read from the bytes: what the tensor holds by definition.
pub fn model<T: Element>(tensor: &Tensor) -> Vec<T> {
    let bytes = snapshot(tensor);
    let at = |at: usize| pod_read_unaligned::<T>(&bytes[at..at + size_of::<T>()]);
    element_offsets(tensor).into_iter().map(at).collect()
}

/// The bytes of every element, in C order.
pub fn element_bytes(tensor: &Tensor) -> Vec<Vec<u8>> {
    let (bytes, item) = (snapshot(tensor), tensor.dtype().item_bytes());
    element_offsets(tensor).into_iter().map(|at| bytes[at..at + item].to_vec()).collect()
}

/// The bytes of values, each by itself.
pub fn bytes_of_each<T: Element>(values: &[T]) -> Vec<Vec<u8>> {
    values.iter().map(|value| bytes_of(value).to_vec()).collect()
}

/// How far to step through many cases: one by one, but under Miri, which is slow, `miri` by `miri`.
pub fn stride(miri: usize) -> usize {
    if cfg!(miri) { miri } else { 1 }
}

/// Every data type; under Miri one of each size and kind.
pub fn dtypes() -> impl Iterator<Item = DType> {
    let few = [DType::Bool, DType::I16, DType::F32, DType::C128];
    DType::ALL.into_iter().filter(move |dtype| !cfg!(miri) || few.contains(dtype))
}
