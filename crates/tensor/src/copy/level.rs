//! Which vector instructions the kernels use.

use std::sync::atomic::{AtomicU8, Ordering};

/// A set of instructions, each level with those of the former one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Level {
    /// What every processor of the target has.
    Portable = 1,
    /// 16 bytes, with a byte shuffle.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    Ssse3 = 2,
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    /// 32 bytes, and conversions of `f16`.
    Avx2 = 3,
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    /// 64 bytes: whole cache lines, whose bytes can be taken from anywhere in two others.
    Avx512 = 4,
    /// 16 bytes, with a byte shuffle.
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    Neon = 5,
}

impl Level {
    const ALL: &[Self] = &[
        Self::Portable,
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        Self::Ssse3,
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        Self::Avx2,
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        Self::Avx512,
        #[cfg(all(target_arch = "aarch64", not(miri)))]
        Self::Neon,
    ];

    /// The highest level of this processor.
    pub(crate) fn best() -> Self {
        static BEST: AtomicU8 = AtomicU8::new(0);
        let known = BEST.load(Ordering::Relaxed);
        if let Some(level) = Self::ALL.iter().copied().find(|&level| level as u8 == known) {
            return level;
        }
        let best = detect();
        BEST.store(best as u8, Ordering::Relaxed);
        best
    }

    /// The levels of this processor, the lowest first.
    #[cfg(test)]
    pub(crate) fn available() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|&level| level <= Self::best())
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
fn detect() -> Level {
    if !is_x86_feature_detected!("ssse3") {
        return Level::Portable;
    }
    if !is_x86_feature_detected!("avx2") || !is_x86_feature_detected!("f16c") {
        return Level::Ssse3;
    }
    let wide = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi");
    if wide { Level::Avx512 } else { Level::Avx2 }
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
fn detect() -> Level {
    Level::Neon
}

#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn detect() -> Level {
    Level::Portable
}
