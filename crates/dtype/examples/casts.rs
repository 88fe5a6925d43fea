//! What one value becomes in every data type.
//!
//! `cargo run -p ndbridge-dtype --example casts -- 256.7 float32`

use std::error::Error;

use ndbridge_dtype::{Casting, DType, Scalar, can_cast, match_dtype};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let value: f64 = arguments.next().as_deref().unwrap_or("256.7").parse()?;
    let source: DType = arguments.next().as_deref().unwrap_or("float32").parse()?;

    let value = in_dtype(Scalar::Float(value), source);
    println!("{value} of {source} is");
    for target in DType::ALL {
        let casting = Casting::ALL.into_iter().find(|&casting| can_cast(source, target, casting));
        let casting = casting.map_or("never", Casting::name);
        println!("  {target:<14}{:<24}{casting}", in_dtype(value, target));
    }
    Ok(())
}

fn in_dtype(value: Scalar, dtype: DType) -> Scalar {
    match_dtype!(dtype, T => Scalar::from_element(value.to_element::<T>()))
}
