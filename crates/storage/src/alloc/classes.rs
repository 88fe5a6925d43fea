//! Sizes that blocks are rounded up to, so that one freed block fits many later ones.

use super::block::ALIGN_BYTES;

/// Blocks from this size on are kept for reuse. A freed block of glibc's heap goes back to the system
/// from about 128 KiB on as soon as it and its free neighbours lie last: eight blocks of 64 KiB
/// filled and freed in turn took 18 times as long as reused ones.
pub(super) const KEPT_FROM_BYTES: usize = 1 << MIN_LOG;

const MIN_LOG: u32 = 16;

/// Larger blocks belong to no class.
const MAX_LOG: u32 = 40;

/// Classes between one power of two and the next: at most an eighth of a block is unused.
const STEPS: usize = 8;

/// Number of classes.
pub(super) const CLASSES: usize = (MAX_LOG - MIN_LOG) as usize * STEPS + 1;

/// A size of blocks.
///
/// ```text
/// class    0        1        2          8         9
/// bytes    64 Ki    72 Ki    80 Ki ..   128 Ki    144 Ki ..
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class {
    // INVARIANT: less than `CLASSES`.
    index: usize,
    bytes: usize,
}

impl Class {
    /// The smallest class with room for `len_bytes`; `None` for what is too small or too large to
    /// be kept.
    pub(super) fn of(len_bytes: usize) -> Option<Self> {
        let len_bytes = len_bytes.checked_next_multiple_of(ALIGN_BYTES)?;
        if !(KEPT_FROM_BYTES..=1 << MAX_LOG).contains(&len_bytes) {
            return None;
        }
        let log = len_bytes.ilog2();
        let step_bytes = (1 << log) / STEPS;
        let steps = (len_bytes - (1 << log)).div_ceil(step_bytes);
        let index = (log - MIN_LOG) as usize * STEPS + steps;
        Some(Self { index, bytes: (1 << log) + steps * step_bytes })
    }

    /// The class of blocks that are exactly `bytes` large.
    pub(super) fn exactly(bytes: usize) -> Option<Self> {
        Self::of(bytes).filter(|class| class.bytes == bytes)
    }

    pub(super) fn index(self) -> usize {
        self.index
    }

    pub(super) fn bytes(self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_has_room_and_wastes_an_eighth_at_the_most() {
        let mut last = Class { index: 0, bytes: KEPT_FROM_BYTES };
        for log in MIN_LOG..MAX_LOG {
            for len_bytes in (0..64).map(|part| (1_usize << log) + (part << log) / 64 + part % 3) {
                let class = Class::of(len_bytes).unwrap();
                assert!(class.bytes >= len_bytes, "{class:?} for {len_bytes}");
                assert!(class.bytes - len_bytes <= len_bytes / 8, "{class:?} for {len_bytes}");
                assert!(class == last || class.index == last.index + 1, "{last:?}, {class:?}");
                assert_eq!(Class::exactly(class.bytes), Some(class));
                last = class;
            }
        }
        assert_eq!(Class::of(1 << MAX_LOG).unwrap().index, CLASSES - 1);
        assert_eq!(Class::of(KEPT_FROM_BYTES - 1), Class::exactly(KEPT_FROM_BYTES));
        for outside in [0, 1, KEPT_FROM_BYTES - ALIGN_BYTES, (1 << MAX_LOG) + 1, usize::MAX] {
            assert_eq!(Class::of(outside), None);
        }
        assert_eq!(Class::exactly(KEPT_FROM_BYTES + 64), None);
    }
}
