//! One bit for each byte of an allocation.

use std::ops::Range;

#[derive(Clone, Default)]
pub struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// All clear.
    pub fn new(len: usize) -> Bits {
        Bits { words: vec![0; len.div_ceil(64)] }
    }

    pub fn set(&mut self, range: Range<usize>) {
        for (word, mask) in masks(range) {
            self.words[word] |= mask;
        }
    }

    pub fn any(&self, range: Range<usize>) -> bool {
        masks(range).any(|(word, mask)| self.words[word] & mask != 0)
    }

    /// The clear bits of a range.
    pub fn clear_in(&self, range: Range<usize>) -> impl Iterator<Item = usize> {
        masks(range).filter(|(word, mask)| self.words[*word] & mask != *mask).flat_map(
            |(word, mask)| {
                let clear = !self.words[word] & mask;
                (0..64).filter(move |bit| clear >> bit & 1 != 0).map(move |bit| word * 64 + bit)
            },
        )
    }
}

/// The words of a range, and which of their bits lie in it.
fn masks(range: Range<usize>) -> impl Iterator<Item = (usize, u64)> {
    let words = if range.is_empty() { 0..0 } else { range.start / 64..range.end.div_ceil(64) };
    words.map(move |word| {
        let start = range.start.saturating_sub(word * 64);
        let end = (range.end - word * 64).min(64);
        let up_to = |bit: usize| if bit == 64 { u64::MAX } else { (1 << bit) - 1 };
        (word, up_to(end) & !up_to(start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_of_three_words_against_a_loop() {
        for start in 0..192 {
            for end in start..=192 {
                let mut bits = Bits::new(192);
                bits.set(start..end);
                let clear: Vec<_> = (0..192).filter(|i| !(start..end).contains(i)).collect();
                assert_eq!(bits.clear_in(0..192).collect::<Vec<_>>(), clear, "{start}..{end}");
                assert_eq!(bits.any(start..end), start < end);
                assert!(!bits.any(0..start) && !bits.any(end..192));
            }
        }
    }
}
