//! The mapped files of the process: which addresses are whose bytes, and who lent them.
//!
//! A file that is mapped twice has two ranges of addresses and one memory. In the ledger its bytes
//! have a third place, their position, above all addresses that memory has:
//!
//! ```text
//! addresses   | memory ..  | map 1 |  ..  | map 2 |  ..      up to 2^63
//!                             └───────┐      │
//! positions                  | file 0 [======]   | file 1 ..  from 2^63 on, 2^44 for each file
//! ```
//!
//! Borrows through a read-only or a read-write map are entered at positions. A copy-on-write map
//! shows the file until a page is written, and keeps what is written to itself: its borrows are
//! entered at its addresses, and for reading at positions:
//!
//! ```text
//!                  by another map, r or r+   by another map, c
//!                  read      write           read      write
//! r, r+   read     together  refused         together  together
//! r+      write    refused   refused         refused   refused
//! c       read     together  refused         together  together
//! c       write    together  refused         together  together
//! ```

use std::collections::BTreeMap;
use std::ops::Range;

use ndbridge_layout::{Region, Span};

use super::loan_gate::LoanGate;
use super::{CallSite, Held, Token};
use crate::{BorrowKind, MapMode};

/// A file by what its file system calls it, the same whatever path or link it was opened by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C)]
pub struct Space {
    /// The device, or the serial number of the volume.
    pub volume: u64,
    /// The inode, or the index of the file.
    pub file: u64,
}

/// A mapped piece of a file. Part of the ledger's table.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Mapped {
    /// Of which file.
    pub space: Space,
    /// Addresses; not empty, and no other map's.
    pub bytes: Span,
    /// Place in the file of the first of them.
    pub offset: u64,
    /// As [`MapMode`]'s codes; anything else is taken for [`MapMode::ReadWrite`].
    pub mode: u8,
}

/// Where mapped bytes are. Part of the ledger's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Place {
    /// From an address to its position, modulo the size of the address space.
    shift: usize,
    /// 1 for a copy-on-write map, else 0.
    is_copy: u8,
}

impl Place {
    pub(super) const NONE: Self = Self { shift: 0, is_copy: 0 };

    pub(super) fn is_copy(self) -> bool {
        self.is_copy != 0
    }

    pub(super) fn positions(self, addresses: Span) -> Span {
        let Span { start, end } = addresses;
        Span { start: start.wrapping_add(self.shift), end: end.wrapping_add(self.shift) }
    }

    /// Regions at positions instead of addresses, of two maps; `None` if what is written through one
    /// of them is never seen through the other.
    pub fn regions<'a>(
        [this, other]: [Self; 2],
        [region, other_region]: [Region<'a>; 2],
    ) -> Option<[Region<'a>; 2]> {
        let at_position = |place: Self, region: Region<'a>| Region {
            start: region.start.wrapping_add(place.shift),
            ..region
        };
        let are_apart = this.is_copy() && other.is_copy();
        (!are_apart).then(|| [at_position(this, region), at_position(other, other_region)])
    }

    /// What a borrow of this kind is to the file.
    fn kind_for_the_file(self, kind: BorrowKind) -> BorrowKind {
        if self.is_copy() { BorrowKind::Read } else { kind }
    }
}

/// Positions are this or higher. No memory has such addresses.
const FIRST_POSITION: usize = 1 << (usize::BITS - 1);

/// Room for the positions of each file; `None` where addresses are too short for any.
const FILE_BYTES: Option<usize> = 1_usize.checked_shl(44);

#[derive(Debug)]
pub(super) struct Maps {
    /// By address of their first byte.
    maps: BTreeMap<usize, Entry>,
    // INVARIANT: a file is here while it is mapped.
    files: BTreeMap<Space, File>,
    /// Numbers of files that are gone; the others below `numbers` are in use.
    free: Vec<usize>,
    numbers: usize,
    loans: u64,
    pairs: Pairs,
}

#[derive(Debug)]
struct Entry {
    mapped: Mapped,
    place: Place,
    /// Number of its loan.
    loan: Option<u64>,
}

#[derive(Debug)]
struct File {
    number: usize,
    maps: usize,
    // INVARIANT: numbers ascend.
    loans: Vec<Loan>,
}

/// Bytes of a file that foreign code may reach, for as long as their map lives.
#[derive(Debug)]
pub(super) struct Loan {
    number: u64,
    /// What foreign code may do to the file.
    kind: BorrowKind,
    positions: Span,
    gate: LoanGate,
    /// Number of equal loans.
    times: usize,
}

/// What is to be free of borrows for a map to be lent.
pub(super) struct Lending {
    number: u64,
    pub(super) wanted: [Option<(BorrowKind, Span)>; 2],
}

impl Maps {
    pub(super) const fn new() -> Self {
        Self {
            maps: BTreeMap::new(),
            files: BTreeMap::new(),
            free: Vec::new(),
            numbers: 0,
            loans: 0,
            pairs: Pairs::new(),
        }
    }

    /// Enters a map; false if there is no room for its positions.
    pub(super) fn insert(&mut self, mapped: Mapped) -> bool {
        let known = self.files.get(&mapped.space).map(|file| file.number);
        let number = known.unwrap_or_else(|| self.free.last().copied().unwrap_or(self.numbers));
        let Some(start) = first_position(number, &mapped) else { return false };
        match self.files.get_mut(&mapped.space) {
            Some(file) => file.maps += 1,
            None => self.insert_file(mapped.space, number),
        }
        let shift = start.wrapping_sub(mapped.bytes.start);
        let place = Place { shift, is_copy: u8::from(mapped.mode == MapMode::CopyOnWrite as u8) };
        self.maps.insert(mapped.bytes.start, Entry { mapped, place, loan: None });
        true
    }

    fn insert_file(&mut self, space: Space, number: usize) {
        if self.free.pop().is_none() {
            self.numbers += 1;
        }
        self.files.insert(space, File { number, maps: 1, loans: Vec::new() });
    }

    /// Strikes out the map that begins at `start`. The loan may have the last handle of its gate: it
    /// is to be dropped without the lock.
    pub(super) fn remove(&mut self, start: usize) -> Option<Loan> {
        let Entry { mapped, loan, .. } = self.maps.remove(&start)?;
        let file = self.files.get_mut(&mapped.space)?;
        let ended = loan.and_then(|number| file.end_loan(number));
        file.maps -= 1;
        if file.maps == 0 {
            self.free.push(file.number);
            self.files.remove(&mapped.space);
        }
        ended
    }

    pub(super) fn len(&self) -> usize {
        self.maps.len()
    }

    fn entry_at(&self, span: Span) -> Option<&Entry> {
        let (_, last) = self.maps.range(..span.end).next_back()?;
        last.mapped.bytes.meets(span).then_some(last)
    }

    /// Where the bytes of `span` are; `None` if none of them is mapped.
    ///
    /// # Errors
    /// Some are and some are not, or by another map, which no array has.
    pub(super) fn place_of(&self, span: Span) -> Result<Option<Place>, Box<Held>> {
        match self.entry_at(span) {
            None => Ok(None),
            Some(entry) if entry.mapped.bytes.contains(span) => Ok(Some(entry.place)),
            Some(entry) => {
                let at = CallSite::named(c"the map of a file, which ends within these bytes");
                let bytes = entry.mapped.bytes.addresses();
                Err(Box::new(Held { kind: BorrowKind::Write, at, bytes, in_file: false }))
            }
        }
    }

    /// The next loan after the one numbered `after` whose gate a borrow is to ask.
    // By spans alone: to ask a gate in vain does no harm.
    pub(super) fn loan_over(&self, kind: BorrowKind, span: Span, after: u64) -> Option<&Loan> {
        let entry = self.entry_at(span)?;
        let kind = entry.place.kind_for_the_file(kind);
        let positions = entry.place.positions(span);
        self.files.get(&entry.mapped.space)?.loans.iter().find(|loan| {
            let is_in_way = loan.positions.meets(positions) && !loan.kind.is_compatible_with(kind);
            loan.number > after && is_in_way
        })
    }

    /// Marks the map that begins at `start` as lent; `None` if it is.
    pub(super) fn lend(&mut self, start: usize, gate: &LoanGate) -> Option<Lending> {
        let entry = self.maps.get_mut(&start).filter(|entry| entry.loan.is_none())?;
        let file = self.files.get_mut(&entry.mapped.space)?;
        let bytes = entry.mapped.bytes;
        let positions = entry.place.positions(bytes);
        let is_read_only = entry.mapped.mode == MapMode::Read as u8;
        let kind = if is_read_only { BorrowKind::Read } else { BorrowKind::Write };
        // Writes to a copy-on-write map are its own affair: its storage asks its own gate.
        let own = entry.place.is_copy().then_some((BorrowKind::Write, bytes));
        let kind = entry.place.kind_for_the_file(kind);
        // Foreign code may do so already: borrows that live bear it.
        let is_new = !file.loans.iter().any(|loan| loan.allows(kind, positions));
        self.loans += 1;
        let number = file.add_loan(self.loans, kind, positions, gate);
        entry.loan = Some(number);
        Some(Lending { number, wanted: [own, is_new.then_some((kind, positions))] })
    }

    /// Takes a loan back that did not come about; to be dropped without the lock.
    pub(super) fn take_back(&mut self, start: usize, lending: &Lending) -> Option<Loan> {
        let entry = self.maps.get_mut(&start)?;
        entry.loan = None;
        self.files.get_mut(&entry.mapped.space)?.end_loan(lending.number)
    }

    /// All maps, each with the gate of its loan.
    pub(super) fn all(&self) -> impl Iterator<Item = (Mapped, Option<LoanGate>)> {
        self.maps.values().map(|entry| {
            let loans = self.files.get(&entry.mapped.space).map_or(&[][..], |file| &file.loans);
            let loan = loans.iter().find(|loan| Some(loan.number) == entry.loan);
            (entry.mapped, loan.map(|loan| loan.gate.clone()))
        })
    }

    pub(super) fn pairs(&mut self) -> &mut Pairs {
        &mut self.pairs
    }
}

/// Position of the first byte of a map of the file with this number, if the last one has one.
fn first_position(number: usize, mapped: &Mapped) -> Option<usize> {
    let file = FIRST_POSITION.checked_add(number.checked_mul(FILE_BYTES?)?)?;
    let start = file.checked_add(usize::try_from(mapped.offset).ok()?)?;
    start.checked_add(mapped.bytes.len_bytes())?;
    Some(start)
}

/// A borrow with bytes in the file instead of positions.
pub(super) fn in_file(held: Held) -> Held {
    let in_file = held.bytes.start >= FIRST_POSITION;
    let Some(room) = FILE_BYTES.filter(|_| in_file) else { return held };
    let offset = held.bytes.start % room;
    let bytes: Range<usize> = offset..offset + held.bytes.len();
    Held { bytes, in_file, ..held }
}

impl File {
    /// Enters a loan, or counts one that is there; its number.
    fn add_loan(&mut self, number: u64, kind: BorrowKind, positions: Span, gate: &LoanGate) -> u64 {
        let is_same = |loan: &&mut Loan| {
            (loan.kind, loan.positions) == (kind, positions) && loan.gate == *gate
        };
        if let Some(loan) = self.loans.iter_mut().find(is_same) {
            loan.times += 1;
            return loan.number;
        }
        self.loans.push(Loan { number, kind, positions, gate: gate.clone(), times: 1 });
        number
    }

    fn end_loan(&mut self, number: u64) -> Option<Loan> {
        let place = self.loans.iter().position(|loan| loan.number == number)?;
        self.loans[place].times -= 1;
        (self.loans[place].times == 0).then(|| self.loans.remove(place))
    }
}

impl Loan {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn gate(&self) -> LoanGate {
        self.gate.clone()
    }

    /// Whether foreign code may do this to all of the bytes.
    fn allows(&self, kind: BorrowKind, positions: Span) -> bool {
        let may = self.kind == kind || self.kind == BorrowKind::Write;
        may && self.positions.contains(positions)
    }
}

/// Borrows through copy-on-write maps, which are two: at addresses and at positions.
#[derive(Debug)]
pub(super) struct Pairs {
    places: Vec<Option<[Token; 2]>>,
    free: Vec<usize>,
}

impl Pairs {
    const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    pub(super) fn insert(&mut self, pair: [Token; 2]) -> u64 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.places[place] = Some(pair);
        place as u64
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<[Token; 2]> {
        let place = usize::try_from(id).ok()?;
        let pair = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        Some(pair)
    }
}
