//! The driver's symbols: one slot and one jump each.

use std::ffi::{CStr, c_void};
use std::slice;
use std::sync::atomic::AtomicPtr;

use super::hooks::{driver_version, error_name, error_string, init, not_initialized};

// One slot in `.data.rel.ndbridge_cuda` that holds what to call, and a hidden function of the
// driver's name that jumps there; both start with a landing pad for indirect calls.
#[cfg(target_arch = "x86_64")]
macro_rules! jump {
    ($name:ident, $to:literal) => {
        concat!(
            ".pushsection .data.rel.ndbridge_cuda\n9: .quad ",
            $to,
            "\n.popsection\n.p2align 4\n",
            symbol!($name),
            "endbr64\njmp qword ptr [rip + 9b]\n",
        )
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! jump {
    ($name:ident, $to:literal) => {
        concat!(
            ".pushsection .data.rel.ndbridge_cuda\n9: .xword ",
            $to,
            "\n.popsection\n.p2align 2\n",
            symbol!($name),
            "bti c\nadrp x16, 9b\nldr x16, [x16, :lo12:9b]\nbr x16\n",
        )
    };
}

macro_rules! symbol {
    ($name:ident) => {
        concat!(
            ".globl ",
            stringify!($name),
            "\n.hidden ",
            stringify!($name),
            "\n.type ",
            stringify!($name),
            ",@function\n",
            stringify!($name),
            ":\n"
        )
    };
}

macro_rules! trampolines {
    ($a:ident => $to_a:ident, $b:ident => $to_b:ident, $c:ident => $to_c:ident, $d:ident => $to_d:ident;
     $($name:ident)*) => {
        /// The symbols this crate defines, in the order of their slots.
        pub static SYMBOLS: &[&CStr] = &[
            c_name(concat!(stringify!($a), "\0")),
            c_name(concat!(stringify!($b), "\0")),
            c_name(concat!(stringify!($c), "\0")),
            c_name(concat!(stringify!($d), "\0")),
            $(c_name(concat!(stringify!($name), "\0")),)*
        ];
        std::arch::global_asm!(
            ".pushsection .data.rel.ndbridge_cuda,\"aw\",@progbits",
            ".p2align 3",
            ".globl __ndbridge_cuda_slots",
            ".hidden __ndbridge_cuda_slots",
            "__ndbridge_cuda_slots:",
            ".popsection",
            ".pushsection .text.ndbridge_cuda,\"ax\",@progbits",
            jump!($a, "{a}"),
            jump!($b, "{b}"),
            jump!($c, "{c}"),
            jump!($d, "{d}"),
            $(jump!($name, "{other}"),)*
            ".popsection",
            a = sym $to_a,
            b = sym $to_b,
            c = sym $to_c,
            d = sym $to_d,
            other = sym not_initialized,
        );
    };
}

include!("symbols.rs");

unsafe extern "C" {
    static __ndbridge_cuda_slots: [AtomicPtr<c_void>; 0];
}

/// What the functions jump to, in the order of [`SYMBOLS`].
pub fn slots() -> &'static [AtomicPtr<c_void>] {
    let first = (&raw const __ndbridge_cuda_slots).cast();
    // SAFETY: the assembly above lays out one pointer for each symbol, in this order, in memory
    // that may be written.
    unsafe { slice::from_raw_parts(first, SYMBOLS.len()) }
}

const fn c_name(name: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(name.as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("one NUL, at the end"),
    }
}
