//! The search for shared bytes, which may take a tenth of a millisecond: not under the lock.
//!
//! ```text
//! lock     look at all records: one is surely in the way -> refused
//!                               a few simple ones        -> searched at once
//!                               others                   -> copied out
//! unlock   search: one shares a byte -> refused; none does -> these footprints are cleared
//! lock     look at all records again, those of cleared footprints are not in the way ..
//! ```
//!
//! What was found out is about footprints, so it holds for every record that has such a one,
//! whoever entered it meanwhile. Each round
//! clears several times as many as the one before.

use ndbridge_layout::{DEFAULT_BUDGET, Footprint, Overlap, footprints_overlap};
use smallvec::SmallVec;

use crate::held::Held;
use crate::mark;
use crate::record::{Record, Verdict};
use crate::wanted::Wanted;

/// What is known of the records that a wanted borrow meets.
pub(crate) struct Search<'w> {
    pub(crate) wanted: &'w Wanted<'w>,
    // INVARIANT: share no byte with what is wanted; by span.
    cleared: Vec<Footprint>,
    /// Copies of records that are to be searched; no more than there is room for, since it is filled
    /// under the lock.
    open: SmallVec<[Record; 8]>,
    /// Searches that may yet be made under the lock.
    quick: usize,
}

/// Searches under the lock: most borrows need no more than that, and save the second look. Each takes
/// 0.1 us, and with the worst strides found less than 1 us.
const QUICK_SEARCHES: usize = 2;
const QUICK_AXES: usize = 6;
const QUICK_STEPS: u64 = 1;

impl<'w> Search<'w> {
    pub(crate) fn new(wanted: &'w Wanted<'w>) -> Self {
        let (cleared, open) = (Vec::new(), SmallVec::new());
        Self { wanted, cleared, open, quick: QUICK_SEARCHES }
    }

    /// Asks about a record that the thread with this mark entered: an error if it is in the way.
    #[inline(always)]
    pub(crate) fn ask(&mut self, record: &Record, mark: u64) -> Result<(), Box<Held>> {
        match record.verdict(self.wanted) {
            Verdict::Clear => Ok(()),
            _ if !mark::is_here(mark) => Ok(()),
            Verdict::Conflict => Err(record.held()),
            Verdict::Unknown => match self.quick_overlap(&record.bytes) {
                Overlap::Disjoint => Ok(()),
                Overlap::Overlapping => Err(record.held()),
                Overlap::Unknown => {
                    self.note(record);
                    Ok(())
                }
            },
        }
    }

    fn quick_overlap(&mut self, bytes: &Footprint) -> Overlap {
        if self.quick == 0 || bytes.axes().len() + self.wanted.axes.len() > QUICK_AXES {
            return Overlap::Unknown;
        }
        self.quick -= 1;
        footprints_overlap(bytes, self.wanted.bytes, self.wanted.axes, QUICK_STEPS)
    }

    fn note(&mut self, record: &Record) {
        if self.open.len() < self.open.capacity() && !self.is_cleared(&record.bytes) {
            self.open.push(record.clone());
        }
    }

    fn is_cleared(&self, bytes: &Footprint) -> bool {
        let first = self.cleared.partition_point(|other| by_span(other) < by_span(bytes));
        let alike = self.cleared[first..].iter().take_while(|other| other.span() == bytes.span());
        alike.into_iter().any(|other| other == bytes)
    }

    /// Whether all that was asked about is clear.
    pub(crate) fn is_over(&self) -> bool {
        self.open.is_empty()
    }

    /// Searches what is open: an error if some of it is in the way.
    pub(crate) fn run(&mut self) -> Result<(), Box<Held>> {
        for record in self.open.drain(..) {
            let Wanted { bytes, axes, .. } = *self.wanted;
            if !footprints_overlap(&record.bytes, bytes, axes, DEFAULT_BUDGET).is_disjoint() {
                return Err(record.held());
            }
            self.cleared.push(record.bytes);
        }
        self.cleared.sort_unstable_by_key(by_span);
        self.open.reserve(4 * self.cleared.len());
        Ok(())
    }
}

fn by_span(bytes: &Footprint) -> (usize, usize) {
    (bytes.span().start, bytes.span().end)
}
