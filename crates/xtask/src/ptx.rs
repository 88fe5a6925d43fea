//! `cargo xtask ptx`: the CUDA kernels, compiled by a nightly toolchain to PTX that is checked in.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::error::Error;
use crate::nightly;
use crate::steps::{Steps, execute, output};
use crate::workspace::Workspace;

/// Compressed by zlib: an eighth of its length.
pub const PTX: &str = "crates/cuda-kernels/kernels.ptx.z";

/// What the GPU's code is made of.
const SOURCES: [&str; 2] = ["crates/cuda-kernels/src/", "crates/dtype/src/convert/"];

/// Sources of the host alone.
const HOST_ONLY: [&str; 4] = ["host.rs", "launch.rs", "ptx.rs", "width.rs"];

/// Compiles the kernels.
pub fn run(workspace: &Workspace, steps: &mut Steps) {
    if steps.run("nightly toolchain", || nightly::install(&["rust-src"])).is_some() {
        steps.run("kernels", || write(workspace));
    }
}

fn write(workspace: &Workspace) -> Result<(), Error> {
    let target = workspace.target.join("ptx");
    let assembly = target.join("kernels.s");
    let kernels = ["--package", "ndbridge-cuda-kernels", "--lib", "--release"];
    let mut rustc = nightly::cargo(workspace, ["rustc"]);
    rustc.args(kernels).args(["--target", "nvptx64-nvidia-cuda", "-Zbuild-std=core,alloc"]);
    rustc.arg("--target-dir").arg(&target).arg("--");
    rustc.arg(format!("--emit=asm={}", assembly.display()));
    rustc.envs([
        ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
        ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
        ("CARGO_PROFILE_RELEASE_LTO", "false"),
        ("RUSTFLAGS", "-Awarnings"),
    ]);
    execute(&mut rustc)?;
    let version = output(Command::new("rustup").args(["run", "nightly", "rustc", "--version"]))?;
    let text = format!(
        "{}\n// {}{}",
        hash_line(workspace)?,
        String::from_utf8_lossy(&version),
        kernels_alone(&workspace.read(&assembly)?)
    );
    let path = workspace.root.join(PTX);
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    let packed = packed.write_all(text.as_bytes()).and_then(|()| packed.finish());
    packed
        .and_then(|packed| std::fs::write(&path, packed))
        .map_err(|source| Error::File { path, source })
}

/// Without comments, and without functions of the host that the compiler writes as well.
fn kernels_alone(assembly: &str) -> String {
    const HEADER: [&str; 4] = [".version ", ".target ", ".address_size ", ".extern .shared "];
    let mut text = String::new();
    let mut in_kernel = false;
    for line in assembly.lines().filter(|line| !line.trim_start().starts_with("//")) {
        in_kernel |= line.starts_with(".visible .entry ");
        if in_kernel || HEADER.iter().any(|start| line.starts_with(start)) {
            text.extend([line.split("//").next().unwrap_or_default().trim_end(), "\n"]);
        }
        in_kernel &= line != "}";
    }
    text
}

/// The first line of the PTX that these sources give.
fn hash_line(workspace: &Workspace) -> Result<String, Error> {
    let mut hash = Fnv::default();
    for file in sources(workspace)? {
        hash.add(file.to_string_lossy().as_bytes());
        hash.add(workspace.read(&file)?.as_bytes());
    }
    Ok(format!("// source hash: {:016x}", hash.0))
}

fn sources(workspace: &Workspace) -> Result<Vec<PathBuf>, Error> {
    let is_source = |file: &Path| {
        SOURCES.iter().any(|folder| file.starts_with(folder))
            && !HOST_ONLY.iter().any(|name| file.ends_with(name))
    };
    let mut files = workspace.rust_files()?;
    files.retain(|file| is_source(file));
    files.sort();
    Ok(files)
}

/// FNV-1a of 64 bits: the same number in every version of Rust.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use flate2::read::ZlibDecoder;

    use super::*;

    #[test]
    fn the_ptx_is_that_of_the_sources() {
        let workspace = Workspace::load().unwrap();
        let packed = std::fs::File::open(workspace.root.join(PTX)).unwrap();
        let mut first = String::new();
        BufReader::new(ZlibDecoder::new(packed)).read_line(&mut first).unwrap();
        let expected = hash_line(&workspace).unwrap();
        assert_eq!(first.trim_end(), expected, "run `cargo xtask ptx`");
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        let mut hash = Fnv::default();
        hash.add(b"foobar");
        assert_eq!(hash.0, 0x8594_4171_f739_67e8);
    }

    #[test]
    fn only_kernels_stay() {
        let assembly = "// by LLVM\n.version 7.0\n.func f()\n{\n\tret;\n}\n\
                        \t// .globl k\n.visible .entry k(\n)\n{\n\tret; // end\n}\n.func g()\n{\n}\n";
        assert_eq!(kernels_alone(assembly), ".version 7.0\n.visible .entry k(\n)\n{\n\tret;\n}\n");
    }
}
