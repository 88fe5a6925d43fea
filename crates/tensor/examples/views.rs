//! Views share, copies copy, and each can be asked: `cargo run -p ndbridge-tensor --example views`.

use ndarray::{Array, s};
use ndbridge_tensor::{CopyOrder, DType, Tensor, TensorError, copies, shares_memory};

fn main() -> Result<(), TensorError> {
    let image = Tensor::from_array(Array::from_shape_fn((2, 4, 3), |(y, x, c)| {
        (y * 100 + x * 10 + c) as u8
    }))?;
    println!("image: shape {:?}, strides {:?} B", image.shape(), image.strides());

    let planes = image.permute(&[2, 0, 1])?;
    let red = planes.select(0, 0)?.slice(s![.., ..;-1])?;
    println!("red, mirrored: strides {:?} B\n{red}", red.strides());

    red.write::<u8>()?.fill(255);
    println!("written through the view: {}", image.slice(s![0, 0, ..])?);
    println!("so far {} B were copied", copies().bytes);

    let (even, odd) = (image.slice(s![.., ..;2, ..])?, image.slice(s![.., 1..;2, ..])?);
    println!("even and odd columns share bytes: {}", shares_memory(&even, &odd));
    let both = (even.write::<u8>()?, odd.write::<u8>()?);
    println!("so both may be written at once; the whole image may not:");
    if let Err(error) = image.read::<u8>() {
        println!("  {error}");
    }
    drop(both);

    if let Err(error) = planes.reshape(&[3, -1]) {
        println!("{error}");
    }
    let packed = planes.reshape_copy(&[3, -1])?;
    println!("{}", packed.receipt());
    println!("{}", packed.to_dtype(DType::F32)?.receipt());
    println!("{}", planes.copy(CopyOrder::C)?.receipt());
    Ok(())
}
