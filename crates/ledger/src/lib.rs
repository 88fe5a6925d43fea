#![doc = include_str!("../README.md")]
//!
//! # What conflicts
//! A ledger knows bytes by where they are and nothing else: not the object they were reached
//! through, not its base. That is their address, or the file and the position in it ([maps](#maps-of-one-file)). Two
//! arrays that different producers made over one memory conflict; two views of one array that share no
//! byte do not:
//!
//! ```text
//!             a[0] a[1] a[2] a[3]
//! a[::2]       ##        ##           write  \ together
//! a[1::2]           ##        ##      write  /
//! a[1:3]            ##   ##           read     refused, names the holder of a[::2]
//! ```
//!
//! Memory that only one module reaches has a [`Ledger`] of its own. Lent memory, which foreign code
//! reaches as well, goes to one ledger of the process: [`of_process`].
//!
//! # Maps of one file
//! Each map has addresses of its own, and all of a file are one memory. Every module therefore tells
//! the ledger of the process what it maps, and borrows of mapped bytes are entered under the file,
//! whatever they were reached through: a tensor, a NumPy array over the map, a function's argument.
//!
//! A map that foreign code may use is a lasting loan of bytes of the file. Borrows through other maps
//! that foreign code could disturb ask its gate, whatever module it is of.
//!
//! # One ledger for all modules
//! Two extension modules with this crate in them have two copies of everything in it. One of them
//! owns the ledger of the process, the others adopt it through a [`LedgerTable`], a table of C
//! functions: [`SharedLedger`]. How the table gets from one module to the other is not known here.
//! A module adopts before it has live borrows of lent memory, or is told to try again later; so
//! every borrow is released where it was entered.
//!
//! # Forks
//! A record bears the mark of the thread that took it. In a child, those of threads that it does not
//! have stand in nobody's way any more, and those of the thread that forked stay. So a guard that was
//! moved to another thread before the fork, or into an object, does not protect its bytes in a
//! child that lacks the thread which took it; releasing it there does nothing.
//!
//! # How it stays cheap
//! A borrow is one compare-and-swap on the lock, one look at each of four inline slots, and one
//! plain store to unlock. Releasing an inline slot is one plain store, without the lock. An adopted
//! ledger adds an indirect call to each. When the slots are full, borrows go to an ordered index,
//! where both cost a logarithm. Where only a search can tell whether bytes are shared, it runs
//! without the lock.
//!
//! # Limitations
//! - A guard that is leaked (`std::mem::forget`) holds its bytes for as long as the ledger lives. The
//!   process-wide one outlives the memory, so later memory at that address is then refused too.
//! - Addresses are taken to be unique, as unified addressing makes them across host and CUDA devices.
//!   A page that others map at two addresses (`np.memmap`) is seen as two memories.
//! - Past [`DEFAULT_BUDGET`](ndbridge_layout::DEFAULT_BUDGET) steps of search, two regions count as overlapping.
//! - Modules that share a ledger stay in memory until the process ends: they keep each other's
//!   functions.

#[expect(unsafe_code, reason = "reads what the functions of a table are given")]
mod abi;
mod adopt_error;
mod borrow_kind;
#[expect(unsafe_code, reason = "C functions that explain the places of their module")]
mod call_site;
mod file_piece;
pub mod fork;
pub mod gate;
mod held;
mod index;
mod ledger;
#[expect(unsafe_code, reason = "C functions that ask the gates of other modules")]
mod loan_gate;
mod map_mode;
#[expect(unsafe_code, reason = "C functions between the modules of a process")]
mod map_table;
mod maps;
mod mark;
mod of_process;
#[cfg(test)]
mod page_tests;
mod process;
mod record;
mod search;
#[expect(unsafe_code, reason = "adopts another module's table on the word of the caller")]
mod shared;
#[expect(unsafe_code, reason = "the lock hands out its content")]
mod spin;
#[doc(hidden)]
#[cfg_attr(not(loom), expect(unsafe_code, reason = "has the interface of loom's cell"))]
pub mod sync;
#[expect(unsafe_code, reason = "C functions between the modules of a process")]
mod table;
mod token;
mod wanted;

pub use abi::TABLE_VERSION;
pub use adopt_error::AdoptError;
pub use borrow_kind::BorrowKind;
pub use call_site::CallSite;
pub use file_piece::{FileId, FilePiece, FilePlace};
pub use gate::{Gate, GateError};
pub use held::{Held, NotEntered};
pub use ledger::Ledger;
pub use map_mode::MapMode;
pub use of_process::of_process;
pub use shared::{Gates, MapEntry, SharedLedger};
pub use table::LedgerTable;
pub use token::Token;
pub use wanted::Wanted;
