//! Random tensors on the host, room on the device, and the comparison of both.

use ndbridge::{DType, Device, Layout, Order, Storage, Tensor};

use crate::Outcome;

/// Bytes of 64 bits each, by Marsaglia's xorshift.
fn random_words(len: usize) -> Vec<u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..len).map(|_| next()).collect()
}

/// Random bits of a data type on the host; not a value of every type, so to be copied only.
pub fn random_bits(shape: &[usize], dtype: DType) -> Outcome<Tensor> {
    let bytes = shape.iter().product::<usize>() * dtype.item_bytes();
    let words = Tensor::from_vec(random_words(bytes.div_ceil(8)));
    let elements = words.reinterpret(DType::U8)?.slice(ndarray::s![..bytes])?.reinterpret(dtype)?;
    Ok(elements.reshape(&signed(shape))?)
}

/// Random finite values of a data type, on the host.
pub fn random_values(len: usize, dtype: DType) -> Outcome<Tensor> {
    // Of 16 bits: every type but the smallest ones has room for them.
    Ok(random_bits(&[len], DType::I16)?.to_dtype(dtype)?)
}

/// Memory on a device, of whatever values, in C order.
pub fn room(device: usize, shape: &[usize], dtype: DType) -> Outcome<Tensor> {
    let layout = Layout::contiguous(shape, dtype.item_bytes(), Order::C)?;
    let storage = Storage::on_device(Device::Cuda(device), layout.len() * dtype.item_bytes())?;
    Ok(Tensor::from_parts(storage, dtype, layout)?)
}

/// An error unless both hold the same bytes, wherever they are.
pub fn check_same_bytes(name: &str, found: &Tensor, expected: &Tensor) -> Outcome {
    let bytes = |tensor: &Tensor| -> Outcome<Tensor> {
        let flat = tensor.cpu()?.contiguous(Order::C)?.reshape(&[-1])?;
        Ok(flat.reinterpret(DType::U8)?)
    };
    let (found, expected) = (bytes(found)?, bytes(expected)?);
    let (found, expected) = (found.read::<u8>()?, expected.read::<u8>()?);
    if found.as_slice() == expected.as_slice() {
        return Ok(());
    }
    let differs = found.iter().zip(expected.iter()).position(|(a, b)| a != b);
    Err(format!("{name}: byte {} is not what the host has there", differs.unwrap_or(0)).into())
}

pub fn signed(shape: &[usize]) -> Vec<isize> {
    shape.iter().map(|&len| len as isize).collect()
}
