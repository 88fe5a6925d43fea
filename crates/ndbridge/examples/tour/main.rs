//! The conversions between ndarray, tensors and files, each with proof: `cargo run --example tour`.
//!
//! Nothing in the table is quoted. After each call a witness looks for the same address, or writes
//! on one side and looks on the other; the copy counter tells the bytes. The program fails if any
//! call did not do what its name promises.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::ExitCode;

use ndarray::{Array2, s};
use ndbridge::{CopyOrder, DType, Tensor, no_copy, npy, npz};

use table::Table;

mod table;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<ExitCode> {
    let mut table = Table::default();
    let image = from_ndarray(&mut table)?;
    views_and_copies(&mut table, &image)?;
    refusals(&mut table, &image)?;
    files(&mut table, &image)?;
    back_to_ndarray(&mut table, image)?;
    print!("{table}");
    Ok(if table.is_kept() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn from_ndarray(table: &mut Table) -> Outcome<Tensor> {
    let array = Array2::from_shape_fn((480, 640), |(y, x)| (640 * y + x) as f64);
    let address = array.as_ptr().addr();
    let image = || Tensor::from_array(array);
    let image = table
        .shares("Tensor::from_array(array)", image, |image| Ok(image.as_ptr().addr() == address))?;

    let array = Array2::<f64>::zeros((480, 640)).into_shared();
    let constant = || Tensor::from_arc_array(array.clone());
    let constant = table.shares("Tensor::from_arc_array(arc)", constant, |constant| {
        Ok(constant.as_ptr().addr() == array.as_ptr().addr())
    })?;
    table.refuses("  constant.write::<f64>()", || constant.write::<f64>());
    Ok(image)
}

fn views_and_copies(table: &mut Table, image: &Tensor) -> Outcome {
    // Each witness writes through the result: does the image show it?
    let mirrored = || image.slice(s![.., ..;-1]);
    table.shares("image.slice(s![.., ..;-1])", mirrored, |mirrored| {
        mirrored.write::<f64>()?[[0, 0]] = -1.0;
        Ok(image.read::<f64>()?[[0, 639]] == -1.0)
    })?;
    table.shares(
        "image.reshape(&[-1])",
        || image.reshape(&[-1]),
        |flat| {
            flat.write::<f64>()?[[1]] = -2.0;
            Ok(image.read::<f64>()?[[0, 1]] == -2.0)
        },
    )?;

    let columns = image.transpose()?;
    table.refuses("columns.reshape(&[-1])", || columns.reshape(&[-1]));
    table.copies(
        "columns.reshape_copy(&[-1])",
        || columns.reshape_copy(&[-1]),
        |flat| {
            flat.write::<f64>()?[[1]] = -3.0;
            Ok(image.read::<f64>()?[[1, 0]] == -3.0)
        },
    )?;
    table.copies(
        "image.copy(CopyOrder::C)",
        || image.copy(CopyOrder::C),
        |copy| {
            copy.write::<f64>()?[[0, 0]] = -4.0;
            Ok(image.read::<f64>()?[[0, 0]] == -4.0)
        },
    )?;
    let single = table.copies(
        "image.to_dtype(DType::F32)",
        || image.to_dtype(DType::F32),
        |f32s| {
            f32s.write::<f32>()?[[0, 0]] = -5.0;
            Ok(image.read::<f64>()?[[0, 0]] == -5.0)
        },
    )?;
    table.note(format!("receipt of the cast: {}", single.receipt()));
    Ok(())
}

fn refusals(table: &mut Table, image: &Tensor) -> Outcome {
    table.refuses("image.read::<f32>()", || image.read::<f32>());

    let reader = image.select(0, 3)?; // one row
    let guard = reader.read::<f64>()?;
    table.refuses("image.write() beside a reader", || image.write::<f64>());
    let below = image.slice(s![4.., ..])?;
    assert!(below.write::<f64>().is_ok(), "no byte in common with the reader");
    drop(guard);

    let scope = no_copy();
    table.refuses("image.to_dtype() in no_copy()", || image.to_dtype(DType::F16));
    drop(scope);
    Ok(())
}

fn files(table: &mut Table, image: &Tensor) -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = &folder.path().join("image.npy");
    table.writes(
        "npy::save(path, &image)",
        || npy::save(path, image),
        || Ok(fs::read(path)?.ends_with(&image.bytes()?)),
    )?;
    let mapped = table.shares(
        "npy::map(path)",
        || npy::map(path),
        |mapped| {
            overwrite_last(path, 7.0)?;
            Ok(mapped.read::<f64>()?[[479, 639]] == 7.0)
        },
    )?;
    table.copies(
        "npy::load(path)",
        || npy::load(path),
        |loaded| {
            overwrite_last(path, 8.0)?;
            Ok(loaded.read::<f64>()?[[479, 639]] == mapped.read::<f64>()?[[479, 639]])
        },
    )?;

    let path = folder.path().join("images.npz");
    npz::save(&path, [("upright", image), ("mirrored", &image.slice(s![.., ..;-1])?)])?;
    let archive = npz::map(&path)?;
    let upright = archive.get("upright")?;
    table.shares(
        "npz::map(path)?.get(\"mirrored\")",
        || archive.get("mirrored"),
        |mirrored| {
            // Both lie in the one mapping of the file, aligned.
            let together = mirrored.storage().same_storage(upright.storage());
            Ok(together && mirrored.as_ptr().addr() % 64 == 0)
        },
    )?;
    Ok(())
}

/// Another program changes the last number of an `.npy` file.
fn overwrite_last(path: &Path, value: f64) -> Outcome {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.seek(SeekFrom::End(-8))?;
    Ok(file.write_all(&value.to_ne_bytes())?)
}

fn back_to_ndarray(table: &mut Table, image: Tensor) -> Outcome {
    let address = image.as_ptr().addr();
    let other = image.clone();
    table.copies(
        "image.into_array(), not the only one",
        || other.into_array::<f64>(),
        |result| Ok(result.0.as_ptr().addr() == address),
    )?;
    table.shares(
        "image.into_array()",
        || image.into_array::<f64>(),
        |result| Ok(result.0.as_ptr().addr() == address),
    )?;
    Ok(())
}
