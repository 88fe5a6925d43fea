//! Cuts `kernels.ptx.z` into its kernels and compresses each, to a fifth of its length.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::DeflateEncoder;

const ENTRY: &str = ".visible .entry ";
const END: &str = "\n}\n";

fn main() {
    println!("cargo::rerun-if-changed=kernels.ptx.z");
    let packed =
        std::fs::File::open("kernels.ptx.z").expect("kernels.ptx.z beside the build script");
    let mut ptx = String::new();
    ZlibDecoder::new(packed).read_to_string(&mut ptx).expect("compressed text");
    let mut entries = ptx.split_inclusive(END);
    // The header ends where the first kernel begins.
    let first = entries.next().expect("a kernel");
    let (header, first) = first.split_at(first.find(ENTRY).expect("a kernel"));
    let mut compressed = Vec::new();
    let mut index = format!(
        "/// What each module begins with.\nconst HEADER: &str = {header:?};\n\
         /// Names, and where the bytes of each end.\nconst ENDS: &[(&str, usize)] = &[\n"
    );
    for entry in std::iter::once(first).chain(entries) {
        let name = entry.strip_prefix(ENTRY).and_then(|text| text.split('(').next());
        compressed.extend(deflated(entry).expect("memory takes every byte"));
        writeln!(index, "({:?}, {}),", name.expect("an entry's name"), compressed.len())
            .expect("a string takes every byte");
    }
    index += "];\n";
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(Path::new(&out).join(name), bytes).expect("OUT_DIR can be written");
    };
    write("kernels.rs", index.as_bytes());
    write("kernels.deflate", &compressed);
}

fn deflated(text: &str) -> std::io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}
