//! The kernels as PTX, whole and in modules of one.

/// The PTX of all kernels, as nightly made it; its first line has the hash of the sources.
pub const PTX: &str = include_str!("../kernels.ptx");

/// A PTX module with that one kernel. A driver compiles it in milliseconds, all of them in seconds.
#[must_use]
pub fn module_text(kernel: &str) -> Option<String> {
    let entry = entry(kernel)?;
    Some(format!("{}{entry}", header()))
}

/// Version, target and the block's memory.
fn header() -> &'static str {
    PTX.split_once("\t// .globl").map_or(PTX, |(header, _)| header)
}

/// From `.visible .entry` to its closing brace.
fn entry(kernel: &str) -> Option<&'static str> {
    let start = PTX.find(&format!(".visible .entry {kernel}("))?;
    let text = &PTX[start..];
    text.find("\n}\n").map(|end| &text[..end + 3])
}
