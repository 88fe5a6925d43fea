//! The kernels: each is written once over a vector, and compiled for each level.

#[expect(unsafe_code, reason = "loads and stores")]
mod cast;
#[expect(unsafe_code, reason = "loads and stores")]
mod channels;
#[expect(unsafe_code, reason = "loads and stores")]
mod convert;
#[expect(unsafe_code, reason = "loads and stores")]
mod general;
#[cfg(all(target_arch = "aarch64", not(miri)))]
#[expect(unsafe_code, reason = "loads and stores")]
mod neon;
#[expect(unsafe_code, reason = "loads and stores")]
mod portable;
#[expect(unsafe_code, reason = "loads and stores")]
mod rows;
#[expect(unsafe_code, reason = "loads and stores")]
mod staged;
#[expect(unsafe_code, reason = "loads and stores")]
mod step;
#[expect(unsafe_code, reason = "loads and stores")]
mod stream;
#[expect(unsafe_code, reason = "loads and stores")]
mod transpose;
#[expect(unsafe_code, reason = "loads and stores")]
mod vector;
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[expect(unsafe_code, reason = "loads and stores")]
mod x86;

use ndbridge_dtype::{DType, Element, match_dtype};

use super::level::Level;
use super::work::{Convert, Kernel};

/// The kernel of this name for a level.
macro_rules! at_level {
    ($level:expr, $module:ident::$kernel:ident $(, $generic:expr)*) => {
        match $level {
            Level::Portable => $module::$kernel::<portable::Portable $(, { $generic })*> as Kernel,
            #[cfg(all(target_arch = "aarch64", not(miri)))]
            Level::Neon => $module::$kernel::<neon::Neon $(, { $generic })*>,
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Level::Ssse3 => x86::ssse3::$kernel::<$({ $generic }),*>,
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Level::Avx2 => x86::avx2::$kernel::<$({ $generic }),*>,
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Level::Avx512 => x86::avx512::$kernel::<$({ $generic }),*>,
        }
    };
}

pub(super) use convert::general as convert_general;

/// The routine that converts dense elements.
pub(super) fn convert(level: Level, from: DType, to: DType) -> Convert {
    match_dtype!(from, S => convert_from::<S>(level, to))
}

fn convert_from<S: Element>(level: Level, to: DType) -> Convert {
    match_dtype!(to, D => match level {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        Level::Avx2 => x86::convert_avx2::<S, D> as Convert,
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        Level::Avx512 => x86::convert_avx512::<S, D>,
        _ => convert::run::<S, D>,
    })
}

pub(super) fn cast_run(level: Level) -> Kernel {
    at_level!(level, cast::cast_run)
}

pub(super) fn cast_plane(level: Level) -> Kernel {
    at_level!(level, cast::cast_plane)
}

pub(super) fn staged(level: Level) -> Kernel {
    at_level!(level, staged::staged)
}

pub(super) fn block(level: Level) -> Kernel {
    at_level!(level, rows::block)
}

pub(super) fn rows(level: Level) -> Kernel {
    at_level!(level, rows::rows)
}

pub(super) fn transpose(level: Level, item_bytes: usize) -> Kernel {
    match item_bytes {
        1 => at_level!(level, transpose::transpose, 1),
        2 => at_level!(level, transpose::transpose, 2),
        4 => at_level!(level, transpose::transpose, 4),
        8 => at_level!(level, transpose::transpose, 8),
        _ => at_level!(level, transpose::transpose, 16),
    }
}

pub(super) use stream::SHORT_ROW;

/// The most channels that [`split`] and [`merge`] know.
pub(super) const MAX_CHANNELS: usize = 4;

pub(super) fn split(level: Level, channels: usize) -> Kernel {
    match channels {
        2 => at_level!(level, channels::split, 2),
        3 => at_level!(level, channels::split, 3),
        _ => at_level!(level, channels::split, 4),
    }
}

pub(super) fn merge(level: Level, channels: usize) -> Kernel {
    match channels {
        2 => at_level!(level, channels::merge, 2),
        3 => at_level!(level, channels::merge, 3),
        _ => at_level!(level, channels::merge, 4),
    }
}

/// The kernel for steps of so many items, if there is one.
pub(super) fn step(level: Level, items: isize) -> Option<Kernel> {
    Some(match items {
        0 => at_level!(level, step::repeat),
        2 => at_level!(level, step::step, 2, false),
        3 => at_level!(level, step::step, 3, false),
        4 => at_level!(level, step::step, 4, false),
        -1 => at_level!(level, step::step, 1, true),
        -2 => at_level!(level, step::step, 2, true),
        -3 => at_level!(level, step::step, 3, true),
        -4 => at_level!(level, step::step, 4, true),
        _ => return None,
    })
}

pub(super) fn general(item_bytes: usize) -> Kernel {
    match item_bytes {
        1 => general::general::<1>,
        2 => general::general::<2>,
        4 => general::general::<4>,
        8 => general::general::<8>,
        _ => general::general::<16>,
    }
}

/// Makes what this thread has streamed visible to others that it tells.
pub(super) fn settle() {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    x86::settle();
}
