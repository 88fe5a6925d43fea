//! What becomes of writes to a mapped file.

/// What becomes of writes to a mapped file.
///
/// Maps of one file are one memory to the ledger, whatever their modes and paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MapMode {
    /// There are none: the map is read-only. It changes when a read-write map of the file is
    /// written.
    Read,
    /// They go to the file, and are seen by its other maps.
    ReadWrite,
    /// They stay in this map, the file keeps its bytes. Pages that were not written yet change
    /// with the file.
    CopyOnWrite,
}
