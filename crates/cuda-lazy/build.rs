//! Answers the `-lcuda` that cust_raw's build script prints by an empty archive: every symbol of
//! the driver is defined by this crate.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let Some(out) = env::var_os("OUT_DIR") else { return Err(io::Error::other("no OUT_DIR")) };
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        let folder = Path::new(&out).join("link");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("libcuda.a"), "!<arch>\n")?;
        println!("cargo::rustc-link-search=native={}", folder.display());
    }
    Ok(())
}
