//! What a program did wrong.

/// A mistake of the program, whether or not the call that made it succeeded. Operations are named
/// by call, number and stream: `cuMemcpyHtoDAsync, 3rd of stream 12`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "`by` is the operation, `addr` the first wrong address, both in each"
)]
pub enum Violation {
    /// Device memory touched beyond an allocation, or where there never was one.
    #[error("{by}: {len} bytes at {addr:#x} are not within an allocation")]
    OutOfBounds { by: String, addr: u64, len: u64 },
    /// Device memory touched after its free.
    #[error("{by}: memory at {addr:#x} was freed")]
    UseAfterFree { by: String, addr: u64 },
    /// Memory freed, or unregistered, while work that uses it may be under way.
    #[error("{addr:#x} freed while it may be in use: {by}")]
    FreedInUse { by: String, addr: u64 },
    /// An address freed that is not the start of a live allocation of that kind.
    #[error("free of {addr:#x}, which is no live allocation")]
    BadFree { addr: u64 },
    /// Two operations on the same bytes, one of them a write, without an order between them.
    #[error("race at {addr:#x}: {first} and {second}")]
    Race { first: String, second: String, addr: u64 },
    /// Bytes that nothing wrote were copied away or read by a kernel.
    #[error("{by}: bytes at {addr:#x} were never written")]
    Uninitialised { by: String, addr: u64 },
    /// A call that needs a current context, on a thread without one.
    #[error("{call} without a current context")]
    NoContext { call: &'static str },
    /// A pinned buffer changed between the call that queued a copy from it and the copy.
    #[error("{by}: the pinned source changed before the copy")]
    SourceChanged { by: String },
    /// Device memory still allocated at the end.
    #[error("{len} bytes at {addr:#x} never freed")]
    Leak { addr: u64, len: u64 },
    /// A call that waits, or may wait, while a stream captures. The capture is lost.
    #[error("{call} while a stream captures")]
    SyncInCapture { call: &'static str },
    /// Bytes read that captured work will write, before its graph was launched and has run that far.
    #[error("{by}: bytes at {addr:#x} are written by a graph that has not run: {writer}")]
    ReadBeforeGraph { by: String, addr: u64, writer: String },
    /// Elements of device memory that another library cannot load, in a place where it would.
    #[error("{by}: elements of {item_bytes} bytes at {addr:#x}, which is not aligned")]
    Misaligned { by: String, addr: u64, item_bytes: u64 },
    /// A call in a child that was forked after `cuInit`.
    #[error("{call} in a forked child")]
    Forked { call: &'static str },
    /// A wait for unfinished work by a thread that holds the lock it must not hold.
    #[error("{call} waits while its thread holds the lock")]
    WaitUnderLock { call: &'static str },
    /// A wait for a function of the program that cannot go on: all threads sleep. The call answers
    /// 702; a GPU would wait for ever.
    #[error("{call} waits for a function of the program that waits itself")]
    Deadlock { call: &'static str },
    /// Memory of another device touched without peer access.
    #[error("{by}: memory at {addr:#x} is on device {owner}, device {device} has no access to it")]
    PeerAccess { by: String, addr: u64, device: usize, owner: usize },
    /// A kernel whose parameters in the PTX and in the host's source differ in size.
    #[error("kernel {name}: parameters of {ptx:?} bytes in the PTX, {host:?} in the host's source")]
    KernelParameters { name: String, ptx: Vec<usize>, host: Vec<usize> },
    /// A kernel panicked, as at an unaligned address.
    #[error("{by}: {text}")]
    KernelPanic { by: String, text: String },
}
