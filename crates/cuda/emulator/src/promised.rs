//! Bytes that a captured graph will write when it is launched, and that nothing has written yet.

use std::ops::Range;

/// What one captured operation will write.
pub struct Promise {
    capture: u64,
    by: String,
    bytes: Range<u64>,
}

#[derive(Default)]
pub struct Promises {
    // Neighbours of one operation are one entry.
    pub all: Vec<Promise>,
}

impl Promises {
    pub fn add(&mut self, capture: u64, by: &str, bytes: Range<u64>) {
        match self.all.last_mut() {
            Some(last) if last.by == by && last.bytes.end == bytes.start => {
                last.bytes.end = bytes.end;
            }
            _ => self.all.push(Promise { capture, by: by.to_owned(), bytes }),
        }
    }

    /// The operation that will write some of these bytes, and the first of them.
    pub fn writer(&self, bytes: &Range<u64>) -> Option<(&str, u64)> {
        let meets = |p: &&Promise| p.bytes.start < bytes.end && bytes.start < p.bytes.end;
        let promise = self.all.iter().find(meets)?;
        Some((&promise.by, promise.bytes.start.max(bytes.start)))
    }

    /// Something else wrote these bytes, or they are gone.
    pub fn remove(&mut self, bytes: &Range<u64>) {
        let all = std::mem::take(&mut self.all);
        for Promise { capture, by, bytes: promised } in all {
            let before = promised.start..promised.end.min(bytes.start);
            let behind = promised.start.max(bytes.end)..promised.end;
            for rest in [before, behind].into_iter().filter(|rest| !rest.is_empty()) {
                self.all.push(Promise { capture, by: by.clone(), bytes: rest });
            }
        }
    }

    /// A graph runs, or never will.
    pub fn forget(&mut self, capture: u64) {
        self.all.retain(|promise| promise.capture != capture);
    }

    pub fn clear(&mut self) {
        self.all.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_splits_what_was_promised() {
        let mut promises = Promises::default();
        promises.add(1, "fill", 0..4);
        promises.add(1, "fill", 4..10);
        promises.add(2, "copy", 20..30);
        promises.remove(&(3..6));
        assert_eq!(promises.writer(&(3..6)), None);
        assert_eq!(promises.writer(&(0..20)), Some(("fill", 0)));
        assert_eq!(promises.writer(&(5..8)), Some(("fill", 6)));
        promises.forget(1);
        assert_eq!(promises.writer(&(0..25)), Some(("copy", 20)));
    }
}
