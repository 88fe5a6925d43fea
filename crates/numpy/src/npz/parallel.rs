//! Several members at once.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Builder};

/// Work for one more thread: starting it takes as long as reading a tenth of this.
const BYTES_PER_THREAD: u64 = 2 << 20;

/// Calls `work` for each item, in their order, and stops at an error: what follows an error in the
/// results may be left out.
///
/// `bytes` is how much there is to do in all.
pub(super) fn in_parallel<I: Sync, T: Send, E: Send>(
    items: &[I],
    bytes: u64,
    work: impl Fn(&I) -> Result<T, E> + Sync,
) -> Vec<Result<T, E>> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(items.len()).min((bytes / BYTES_PER_THREAD) as usize);
    let next = AtomicUsize::new(0);
    let run = || run(items, &next, &work);
    let mut done = thread::scope(|scope| {
        let spawn = |_| Builder::new().spawn_scoped(scope, run).ok();
        let others: Vec<_> = (1..threads).map_while(spawn).collect();
        let mut done = run();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|&(place, _)| place);
    done.into_iter().map(|(_, result)| result).collect()
}

/// One thread's share: items are taken in their order, so none before a failed one is left out.
fn run<I, T, E>(
    items: &[I],
    next: &AtomicUsize,
    work: impl Fn(&I) -> Result<T, E>,
) -> Vec<(usize, Result<T, E>)> {
    let mut done = Vec::new();
    loop {
        let place = next.fetch_add(1, Ordering::Relaxed);
        let Some(item) = items.get(place) else { return done };
        let result = work(item);
        if result.is_err() {
            next.store(items.len(), Ordering::Relaxed);
        }
        done.push((place, result));
    }
}

/// A place in a file that other places of the same file do not move.
pub(super) struct FileAt<'f> {
    file: &'f File,
    at: u64,
}

impl<'f> FileAt<'f> {
    pub(super) fn start(file: &'f File) -> Self {
        Self { file, at: 0 }
    }
}

impl Read for FileAt<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        let found = std::os::unix::fs::FileExt::read_at(self.file, buffer, self.at)?;
        #[cfg(windows)]
        let found = std::os::windows::fs::FileExt::seek_read(self.file, buffer, self.at)?;
        self.at += found as u64;
        Ok(found)
    }
}

impl Seek for FileAt<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_up_to_the_first_error() {
        let items: Vec<u32> = (0..1000).collect();
        for bytes in [0, u64::MAX] {
            let all = in_parallel(&items, bytes, |&item| Ok::<_, ()>(item * 2));
            let all: Result<Vec<_>, ()> = all.into_iter().collect();
            assert_eq!(all, Ok(items.iter().map(|item| item * 2).collect()));
            let fails = |&item: &u32| if item >= 500 { Err(item) } else { Ok(item) };
            let some = in_parallel(&items, bytes, fails);
            let first: Result<Vec<_>, u32> = some.into_iter().collect();
            assert_eq!(first, Err(500));
        }
    }
}
