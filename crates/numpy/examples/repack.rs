//! Saves `.npy` and `.npz` files again so that they can be mapped: members stored, aligned and in
//! this machine's byte order.
//!
//! `cargo run -p ndbridge-numpy --example repack -- OLD NEW [OLD NEW ..]`
//! With no arguments it makes an archive of its own and shows what repacking changes.

use std::error::Error;
use std::path::Path;

use ndbridge_numpy::{npy, npz};
use ndbridge_tensor::Tensor;

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<_> = std::env::args_os().skip(1).collect();
    if paths.is_empty() {
        return demo();
    }
    for pair in paths.chunks(2) {
        let [old, new] = pair else { return Err("expected pairs of paths: OLD NEW".into()) };
        repack(old.as_ref(), new.as_ref())?;
    }
    Ok(())
}

fn repack(old: &Path, new: &Path) -> Result<(), Box<dyn Error>> {
    if old.extension().is_some_and(|extension| extension == "npz") {
        let arrays = npz::map(old)?.all()?;
        npz::save(new, arrays.iter().map(|(name, array)| (name, array)))?;
    } else {
        npy::save(new, &npy::load(old)?)?;
    }
    Ok(())
}

fn demo() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let (packed, stored) = (folder.path().join("packed.npz"), folder.path().join("stored.npz"));
    let ramp = Tensor::from_vec((0..100_000).map(f64::from).collect());
    let matrix = ramp.reshape(&[250, 400])?.transpose()?;
    npz::save_compressed(&packed, [("ramp", &ramp), ("matrix", &matrix)])?;
    repack(&packed, &stored)?;
    for path in [&packed, &stored] {
        println!("{}: {} B", path.display(), path.metadata()?.len());
        for (name, array) in npz::map(path)?.all()? {
            let (dtype, shape, receipt) = (array.dtype(), array.shape(), array.receipt());
            println!("  {name:6} {dtype} {shape:?}, {receipt}");
        }
    }
    Ok(())
}
