//! `.npz` archives: several named arrays in a zip file.
//!
//! | call | what happens to the bytes |
//! |---|---|
//! | [`load`], [`Npz::get`] | copied into private memory, checksum checked |
//! | [`map`], [`Mapped::get`] | stored members share the file; deflated ones are unpacked |
//! | [`save`], [`save_compressed`] | written so that `np.load` reads them; stored data lies at multiples of 64 bytes |
//!
//! Names are keys and nothing else: `../up` or `a/b` never becomes a path. As in NumPy a trailing
//! `.npy` is not part of the name.
//!
//! # What is checked
//! The directory has to agree with itself, with each member's own header and with the array's
//! header, and no two members may share bytes. A member may unpack 1000 : 1, as honest ones do. One
//! that takes more memory than the archive's size and 8 MiB is unpacked twice: once to see that it
//! is whole, without keeping it, and once into memory.
//!
//! # Limitations
//! Members that are encrypted or compressed by a method other than deflate are refused. The
//! checksum of a stored member is not checked when it is mapped, which would mean to read it.

mod archive;
mod cp437;
mod directory;
mod end;
mod map;
mod member;
mod parallel;
mod read;
mod record;
mod write;

pub use map::{Mapped, map};
pub use read::{Npz, load};
pub use write::{save, save_compressed, write, write_compressed};
