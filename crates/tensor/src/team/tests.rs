use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::{num_threads, run, set_num_threads};

/// The setting is the process's: one test at a time, with so many threads.
fn with_threads(threads: usize, test: impl FnOnce()) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let before = num_threads();
    set_num_threads(threads);
    test();
    set_num_threads(before);
}

fn count_parts(parts: usize) {
    let done: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
    run(parts, &|part| {
        done[part].fetch_add(1, Relaxed);
    });
    assert!(done.iter().all(|times| times.load(Relaxed) == 1), "{parts} parts");
}

#[test]
fn every_part_is_done_once_whoever_helps() {
    let rounds = if cfg!(miri) { 3 } else { 2000 };
    for threads in [1, 2, 5] {
        with_threads(threads, || {
            for round in 0..rounds {
                count_parts(round % 37);
            }
        });
    }
}

#[test]
fn what_a_part_wrote_is_seen_after_the_call() {
    with_threads(3, || {
        for round in 0..if cfg!(miri) { 3 } else { 500_u64 } {
            let cells: Vec<Mutex<u64>> = (0..20).map(|_| Mutex::new(0)).collect();
            run(20, &|part| *cells[part].lock().unwrap() = round + part as u64);
            for (part, cell) in cells.into_iter().enumerate() {
                assert_eq!(cell.into_inner().unwrap(), round + part as u64);
            }
        }
    });
}

#[test]
fn callers_at_the_same_time_and_parts_with_parts_get_done() {
    with_threads(4, || {
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..if cfg!(miri) { 2 } else { 200 }).for_each(count_parts));
            }
        });
        run(4, &|_| count_parts(9));
    });
}

#[test]
fn a_panic_in_a_part_comes_out_and_the_team_goes_on() {
    with_threads(2, || {
        let done = AtomicUsize::new(0);
        let panicked = std::panic::catch_unwind(|| {
            run(50, &|part| {
                done.fetch_add(1, Relaxed);
                assert!(part != 7, "part 7");
            });
        });
        assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"part 7"));
        assert!((8..=50).contains(&done.load(Relaxed)));
        count_parts(10);
    });
}

#[test]
fn helpers_beyond_the_setting_end() {
    with_threads(4, || {
        // Copies of other tests may have the team at the same time.
        let helpers = || loop {
            if let Some(team) = super::Team::take() {
                break team.helpers.len();
            }
            std::thread::yield_now();
        };
        while helpers() < 3 {
            count_parts(8);
        }
        set_num_threads(2);
        assert!(helpers() <= 1);
        set_num_threads(1);
        assert_eq!(helpers(), 0);
    });
}
