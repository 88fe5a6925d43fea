//! Does a bounded sum of steps land in an interval?

use smallvec::SmallVec;

/// `step * u` for every `u` in `0..=bound`, as part of a sum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    step: u64,
    bound: u64,
}

impl Term {
    pub(super) fn of(step: usize, bound: usize) -> Self {
        Self { step: step as u64, bound: bound as u64 }
    }

    fn max(self) -> u64 {
        self.step * self.bound
    }
}

/// Room for two regions of four axes.
pub(super) type Terms = SmallVec<[Term; 8]>;

/// Steps of search left.
pub(super) struct Budget(pub(super) u64);

impl Budget {
    fn spend(&mut self) -> Option<()> {
        self.0 = self.0.checked_sub(1)?;
        Some(())
    }
}

/// Whether some `Σ stepₖ·uₖ` with `0 <= uₖ <= boundₖ` is in `lo..=hi`; `None` if the budget ran out.
///
/// Every step is positive and the largest sum fits 64 bits.
pub(super) fn solve(mut terms: Terms, lo: u64, hi: u64, budget: &mut Budget) -> Option<bool> {
    join_equal_steps(&mut terms);
    match reduce(&mut terms, lo, hi) {
        Reduced::Answer(answer) => Some(answer),
        Reduced::Interval { lo, hi } => {
            let levels = levels(&terms);
            search(&levels, lo, hi, budget)
        }
    }
}

/// Leaves terms of different steps, longest first.
fn join_equal_steps(terms: &mut Terms) {
    terms.retain(|term| term.bound > 0);
    terms.sort_unstable_by_key(|term| core::cmp::Reverse(term.step));
    terms.dedup_by(|next, kept| {
        let equal = next.step == kept.step;
        if equal {
            kept.bound += next.bound;
        }
        equal
    });
}

enum Reduced {
    Answer(bool),
    Interval { lo: u64, hi: u64 },
}

/// Shrinks the problem until nothing changes: divides by the common divisor, and widens the
/// interval by every term whose step is too short to jump over it.
fn reduce(terms: &mut Terms, mut lo: u64, mut hi: u64) -> Reduced {
    loop {
        let max: u64 = terms.iter().map(|term| term.max()).sum();
        if let Some(answer) = at_the_ends(lo, hi, max) {
            return Reduced::Answer(answer);
        }
        let divisor = terms.iter().fold(0, |divisor, term| gcd(divisor, term.step));
        (lo, hi) = (lo.div_ceil(divisor), hi / divisor);
        if lo > hi {
            return Reduced::Answer(false);
        }
        terms.iter_mut().for_each(|term| term.step /= divisor);
        match terms.last() {
            Some(shortest) if shortest.step - 1 <= hi - lo => {
                lo = lo.saturating_sub(shortest.max());
                terms.pop();
            }
            _ if divisor == 1 => return Reduced::Interval { lo, hi },
            _ => {}
        }
    }
}

/// The answer where the smallest or largest sum decides; sums go from 0 to `max`.
fn at_the_ends(lo: u64, hi: u64, max: u64) -> Option<bool> {
    if lo > max {
        return Some(false);
    }
    (lo == 0 || hi >= max).then_some(true)
}

/// A term with what the shorter terms behind it can reach.
#[derive(Clone, Copy, Debug)]
struct Level {
    term: Term,
    rest_max: u64,
    rest_gcd: u64,
}

fn levels(terms: &Terms) -> SmallVec<[Level; 8]> {
    let (mut rest_max, mut rest_gcd) = (0, 0);
    let mut levels: SmallVec<[Level; 8]> = SmallVec::new();
    for &term in terms.iter().rev() {
        levels.push(Level { term, rest_max, rest_gcd });
        rest_max += term.max();
        rest_gcd = gcd(rest_gcd, term.step);
    }
    levels.reverse();
    levels
}

/// Depth first, longest step first; only values that the interval and the divisor of the shorter
/// steps allow are tried.
fn search(levels: &[Level], lo: u64, hi: u64, budget: &mut Budget) -> Option<bool> {
    let Some((level, rest)) = levels.split_first() else {
        return Some(lo == 0);
    };
    if let Some(answer) = at_the_ends(lo, hi, level.rest_max + level.term.max()) {
        return Some(answer);
    }
    let step = level.term.step;
    if rest.is_empty() {
        return Some(hi / step * step >= lo);
    }
    let last = level.term.bound.min(hi / step);
    let mut u = lo.saturating_sub(level.rest_max).div_ceil(step);
    while let Some(candidate) = next_candidate(level, u, lo, hi).filter(|&found| found <= last) {
        // One term behind: a multiple of its step in the interval is all it takes.
        if rest.len() == 1 {
            return Some(true);
        }
        budget.spend()?;
        let taken = step * candidate;
        if search(rest, lo.saturating_sub(taken), hi - taken, budget)? {
            return Some(true);
        }
        u = candidate + 1;
    }
    Some(false)
}

/// Smallest `u >= from` after which a multiple of the divisor of the rest lies in the interval;
/// `None` also if `step * from` is already past it.
fn next_candidate(level: &Level, from: u64, lo: u64, hi: u64) -> Option<u64> {
    let (step, modulus) = (level.term.step, level.rest_gcd);
    let left = hi.checked_sub(step.checked_mul(from)?)?;
    let (phase, width) = (left % modulus, hi - lo);
    if phase <= width {
        return Some(from);
    }
    let back = modulus - step % modulus;
    let ahead = first_multiple_in(back, modulus, modulus - phase, modulus - phase + width)?;
    from.checked_add(ahead)
}

/// Smallest `x` with `lo <= factor * x mod modulus <= hi`, where `lo <= hi < modulus`.
///
/// Euclid's algorithm on (`factor`, `modulus`): either a multiple of `factor` falls into the
/// interval before the first wrap, or the number of wraps solves the same problem modulo `factor`.
fn first_multiple_in(factor: u64, modulus: u64, lo: u64, hi: u64) -> Option<u64> {
    if lo == 0 {
        return Some(0);
    }
    let factor = factor % modulus;
    if factor == 0 {
        return None;
    }
    if factor > modulus / 2 {
        return first_multiple_in(modulus - factor, modulus, modulus - hi, modulus - lo);
    }
    let x = lo.div_ceil(factor);
    if x * factor <= hi {
        return Some(x);
    }
    let per_wrap = factor - modulus % factor;
    let wraps = first_multiple_in(per_wrap, factor, lo % factor, hi % factor)?;
    let sum = u128::from(modulus) * u128::from(wraps) + u128::from(lo);
    u64::try_from(sum.div_ceil(u128::from(factor))).ok()
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "safe code, and long")]
    fn first_multiple_equals_a_walk() {
        for modulus in 1..28 {
            for factor in 0..2 * modulus {
                for lo in 0..modulus {
                    for hi in lo..modulus {
                        let walked =
                            (0..modulus).find(|x| (lo..=hi).contains(&(factor * x % modulus)));
                        let case = (factor, modulus, lo, hi);
                        assert_eq!(first_multiple_in(factor, modulus, lo, hi), walked, "{case:?}");
                    }
                }
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "safe code, and long")]
    fn sums_of_three_terms_equal_a_walk() {
        for (steps, bounds) in [
            ([30, 12, 7], [3, 4, 2]),
            ([35, 21, 15], [2, 4, 6]),
            ([9, 9, 4], [1, 3, 1]),
            ([64, 24, 8], [0, 2, 3]),
        ] {
            let sums: Vec<u64> = sums(steps, bounds);
            // Safe code: Miri looks at a few.
            for lo in 0..sums.iter().max().unwrap() + 9 {
                for width in 0..5 {
                    let terms = (0..3).map(|k| Term { step: steps[k], bound: bounds[k] }).collect();
                    let expected = sums.iter().any(|sum| (lo..=lo + width).contains(sum));
                    let found = solve(terms, lo, lo + width, &mut Budget(1_000));
                    assert_eq!(found, Some(expected), "{steps:?} {bounds:?} {lo}+{width}");
                }
            }
        }
    }

    fn sums(steps: [u64; 3], bounds: [u64; 3]) -> Vec<u64> {
        let along = |k: usize| (0..=bounds[k]).map(move |u| u * steps[k]);
        along(0)
            .flat_map(|a| along(1).flat_map(move |b| along(2).map(move |c| a + b + c)))
            .collect()
    }
}
