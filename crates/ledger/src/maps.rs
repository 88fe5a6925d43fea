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

use ndbridge_layout::Span;

use crate::borrow_kind::BorrowKind;
use crate::call_site::CallSite;
use crate::file_piece::{FileId, FilePiece, FilePlace};
use crate::held::Held;
use crate::loan_gate::LoanGate;
use crate::map_mode::MapMode;
use crate::token::Token;

/// Positions are this or higher. No memory has such addresses.
const FIRST_POSITION: usize = 1 << (usize::BITS - 1);

/// Room for the positions of each file; `None` where addresses are too short for any.
const FILE_BYTES: Option<usize> = 1_usize.checked_shl(44);

#[derive(Debug)]
pub(crate) struct Maps {
    /// By address of their first byte.
    maps: BTreeMap<usize, KnownMap>,
    // INVARIANT: a file is here while it is mapped.
    files: BTreeMap<FileId, KnownFile>,
    /// Numbers of files that are gone; the others below `numbers` are in use.
    free: Vec<usize>,
    numbers: usize,
    loans: u64,
    pairs: Pairs,
}

#[derive(Debug)]
struct KnownMap {
    mapped: FilePiece,
    place: FilePlace,
    /// Number of its loan.
    loan: Option<u64>,
}

#[derive(Debug)]
struct KnownFile {
    number: usize,
    maps: usize,
    // INVARIANT: numbers ascend.
    loans: Vec<MapLoan>,
}

/// Bytes of a file that foreign code may reach, for as long as their map lives.
#[derive(Debug)]
pub(crate) struct MapLoan {
    number: u64,
    /// What foreign code may do to the file.
    kind: BorrowKind,
    positions: Span,
    gate: LoanGate,
    /// Number of equal loans.
    times: usize,
}

/// What is to be free of borrows for a map to be lent.
pub(crate) struct Lending {
    number: u64,
    pub(crate) wanted: [Option<(BorrowKind, Span)>; 2],
}

impl Maps {
    pub(crate) const fn new() -> Self {
        Self {
            maps: BTreeMap::new(),
            files: BTreeMap::new(),
            free: Vec::new(),
            numbers: 0,
            loans: 0,
            pairs: Pairs::new(),
        }
    }

    /// Enters a map; false if there is no room for its positions, and for addresses that are none or
    /// another map's.
    pub(crate) fn insert(&mut self, mapped: FilePiece) -> bool {
        if mapped.bytes.end <= mapped.bytes.start || self.entry_at(mapped.bytes).is_some() {
            return false;
        }
        let known = self.files.get(&mapped.file).map(|file| file.number);
        let number = known.unwrap_or_else(|| self.free.last().copied().unwrap_or(self.numbers));
        let Some(start) = first_position(number, &mapped) else { return false };
        match self.files.get_mut(&mapped.file) {
            Some(file) => file.maps += 1,
            None => self.insert_file(mapped.file, number),
        }
        let shift = start.wrapping_sub(mapped.bytes.start);
        let place = FilePlace { shift, is_copy: u8::from(mapped.is(MapMode::CopyOnWrite)) };
        self.maps.insert(mapped.bytes.start, KnownMap { mapped, place, loan: None });
        true
    }

    fn insert_file(&mut self, id: FileId, number: usize) {
        if self.free.pop().is_none() {
            self.numbers += 1;
        }
        self.files.insert(id, KnownFile { number, maps: 1, loans: Vec::new() });
    }

    /// Strikes out the map that begins at `start`. The loan may have the last handle of its gate: it
    /// is to be dropped without the lock.
    pub(crate) fn remove(&mut self, start: usize) -> Option<MapLoan> {
        let KnownMap { mapped, loan, .. } = self.maps.remove(&start)?;
        let file = self.files.get_mut(&mapped.file)?;
        let ended = loan.and_then(|number| file.end_loan(number));
        file.maps -= 1;
        if file.maps == 0 {
            self.free.push(file.number);
            self.files.remove(&mapped.file);
        }
        ended
    }

    pub(crate) fn len(&self) -> usize {
        self.maps.len()
    }

    fn entry_at(&self, span: Span) -> Option<&KnownMap> {
        let (_, last) = self.maps.range(..span.end).next_back()?;
        last.mapped.bytes.meets(span).then_some(last)
    }

    /// Where the bytes of `span` are; `None` if none of them is mapped.
    ///
    /// # Errors
    /// Some are and some are not, or by another map, which no array has.
    pub(crate) fn place_of(&self, span: Span) -> Result<Option<FilePlace>, Box<Held>> {
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
    pub(crate) fn loan_over(&self, kind: BorrowKind, span: Span, after: u64) -> Option<&MapLoan> {
        let entry = self.entry_at(span)?;
        let kind = entry.place.kind_for_the_file(kind);
        let positions = entry.place.positions(span);
        self.files.get(&entry.mapped.file)?.loans.iter().find(|loan| {
            let is_in_way = loan.positions.meets(positions) && !loan.kind.is_compatible_with(kind);
            loan.number > after && is_in_way
        })
    }

    /// Marks the map that begins at `start` as lent; `None` if it is.
    pub(crate) fn lend(&mut self, start: usize, gate: &LoanGate) -> Option<Lending> {
        let entry = self.maps.get_mut(&start).filter(|entry| entry.loan.is_none())?;
        let file = self.files.get_mut(&entry.mapped.file)?;
        let bytes = entry.mapped.bytes;
        let positions = entry.place.positions(bytes);
        let is_read_only = entry.mapped.is(MapMode::Read);
        let kind = if is_read_only { BorrowKind::Read } else { BorrowKind::Write };
        // Writes to a copy-on-write map are its own affair: whoever borrows of it asks its own gate.
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
    pub(crate) fn take_back(&mut self, start: usize, lending: &Lending) -> Option<MapLoan> {
        let entry = self.maps.get_mut(&start)?;
        entry.loan = None;
        self.files.get_mut(&entry.mapped.file)?.end_loan(lending.number)
    }

    /// All maps, each with the gate of its loan.
    pub(crate) fn all(&self) -> impl Iterator<Item = (FilePiece, Option<LoanGate>)> {
        self.maps.values().map(|entry| {
            let loans = self.files.get(&entry.mapped.file).map_or(&[][..], |file| &file.loans);
            let loan = loans.iter().find(|loan| Some(loan.number) == entry.loan);
            (entry.mapped, loan.map(|loan| loan.gate.clone()))
        })
    }

    pub(crate) fn pairs(&mut self) -> &mut Pairs {
        &mut self.pairs
    }
}

/// Position of the first byte of a map of the file with this number, if the last one has one.
fn first_position(number: usize, mapped: &FilePiece) -> Option<usize> {
    let file = FIRST_POSITION.checked_add(number.checked_mul(FILE_BYTES?)?)?;
    let start = file.checked_add(usize::try_from(mapped.offset).ok()?)?;
    start.checked_add(mapped.bytes.len_bytes())?;
    Some(start)
}

/// A borrow with bytes in the file instead of positions.
pub(crate) fn in_file(held: Held) -> Held {
    let in_file = held.bytes.start >= FIRST_POSITION;
    let Some(room) = FILE_BYTES.filter(|_| in_file) else { return held };
    let offset = held.bytes.start % room;
    let bytes: Range<usize> = offset..offset + held.bytes.len();
    Held { bytes, in_file, ..held }
}

impl KnownFile {
    /// Enters a loan, or counts one that is there; its number.
    fn add_loan(&mut self, number: u64, kind: BorrowKind, positions: Span, gate: &LoanGate) -> u64 {
        let is_same = |loan: &&mut MapLoan| {
            (loan.kind, loan.positions) == (kind, positions) && loan.gate == *gate
        };
        if let Some(loan) = self.loans.iter_mut().find(is_same) {
            loan.times += 1;
            return loan.number;
        }
        self.loans.push(MapLoan { number, kind, positions, gate: gate.clone(), times: 1 });
        number
    }

    fn end_loan(&mut self, number: u64) -> Option<MapLoan> {
        let place = self.loans.iter().position(|loan| loan.number == number)?;
        self.loans[place].times -= 1;
        (self.loans[place].times == 0).then(|| self.loans.remove(place))
    }
}

impl MapLoan {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn gate(&self) -> LoanGate {
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
pub(crate) struct Pairs {
    places: Vec<Option<[Token; 2]>>,
    free: Vec<usize>,
}

impl Pairs {
    const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn insert(&mut self, pair: [Token; 2]) -> u64 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.places[place] = Some(pair);
        place as u64
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<[Token; 2]> {
        let place = usize::try_from(id).ok()?;
        let pair = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        Some(pair)
    }
}
