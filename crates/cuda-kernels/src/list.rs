//! Every kernel, once: an entry point on the GPU, a row of [`KERNELS`] on the host.

use ndbridge_dtype::{Complex, F8E4M3, F8E5M2, bf16, f16};

use crate::cast::{StoredBool, cast, vector_len};
use crate::fill::fill;
use crate::strided::strided;
use crate::transpose::{steps, transpose_in, transpose_out};
use crate::{Dims, Tiles};

/// Takes rows `"name" (pointers; values) [phase::<types>, ..]`. A barrier stands between two phases.
macro_rules! kernels {
    (@entry ($($name:tt)*) ($($ptr:ident: *$T:ty),*; $($arg:ident: $A:ty),*) [$($phase:ident::<$($G:tt),*>),*]) => {
        #[cfg(target_arch = "nvptx64")]
        const _: () = {
            #[unsafe(export_name = concat!($($name),*))]
            unsafe extern "ptx-kernel" fn entry($($ptr: *mut $T,)* $($arg: $A),*) {
                kernels!(@phases ($($ptr,)* $(&$arg),*) $($phase::<$($G),*>),*)
            }
        };
    };
    (@phases $args:tt $phase:ident::<$($G:tt),*>) => { kernels!(@call $args $phase::<$($G),*>) };
    (@phases $args:tt $first:ident::<$($F:tt),*>, $second:ident::<$($S:tt),*>) => {{
        kernels!(@call $args $first::<$($F),*>);
        crate::device::barrier();
        kernels!(@call $args $second::<$($S),*>)
    }};
    (@call ($($arg:expr),*) $phase:ident::<$($G:tt),*>) => {
        // SAFETY: promised by who launches.
        unsafe { $phase::<crate::device::Gpu, $($G),*>(crate::device::Gpu, $($arg),*) }
    };
    (@row ($($name:tt)*) $params:tt [$($phase:ident::<$($G:tt),*>),*]) => {
        crate::host::Kernel {
            name: concat!($($name),*),
            params: kernels!(@sizes $params),
            phases: &[$( kernels!(@phase $params $phase::<$($G),*>) ),*],
        }
    };
    (@sizes ($($ptr:ident: *$T:ty),*; $($arg:ident: $A:ty),*)) => {
        &[$(size_of::<*mut $T>(),)* $(size_of::<$A>()),*]
    };
    (@phase ($($ptr:ident: *$T:ty),*; $($arg:ident: $A:ty),*) $phase:ident::<$($G:tt),*>) => {{
        unsafe fn run(thread: crate::host::Thread<'_>, mut args: &[*const u8]) {
            // SAFETY: the caller's parameters are those of the row.
            $( let $ptr = unsafe { crate::host::pointer::<$T>(&mut args) }; )*
            // SAFETY: as above.
            $( let $arg = unsafe { crate::host::value::<$A>(&mut args) }; )*
            // SAFETY: a host's thread checks every access.
            unsafe { $phase::<crate::host::Thread<'_>, $($G),*>(thread, $($ptr,)* $(&$arg),*) }
        }
        run
    }};
    // Last: it would take the others' words for rows.
    ($($name:tt $params:tt $phases:tt)*) => {
        $( kernels!(@entry $name $params $phases); )*

        /// Every kernel: copies, transpositions and fills by width, then casts in the order of
        /// [`DType::ALL`](ndbridge_dtype::DType::ALL), of source, then target.
        #[cfg(not(target_arch = "nvptx64"))]
        pub static KERNELS: &[crate::host::Kernel] = &[$( kernels!(@row $name $params $phases) ),*];
    };
}

/// Adds a row for each cast from one type of the list to another.
macro_rules! with_casts {
    // One source after the other: all types before it and after it are its targets.
    ([$($rows:tt)*] [$($before:tt)*] $source:tt $($after:tt)*) => {
        with_casts!(@targets [$($rows)*] [$($before)* $source] [$($after)*] $source $($before)* $($after)*);
    };
    ([$($rows:tt)*] [$($before:tt)*]) => { kernels!($($rows)*); };
    (
        @targets [$($rows:tt)*] $before:tt [$($after:tt)*]
        ($from:literal $S:ident) $(($to:literal $D:ident))*
    ) => {
        with_casts!(
            [
                $($rows)*
                $(
                    ("cast_" $from "_" $to) (dst: *$D, src: *$S; dims: Dims)
                    [cast::<$S, $D, { vector_len(size_of::<$S>(), size_of::<$D>()) }>]
                )*
            ]
            $before $($after)*
        );
    };
}

type C64 = Complex<f32>;
type C128 = Complex<f64>;

with_casts! {
    [
        ("strided_1") (dst: *u8, src: *u8; dims: Dims) [strided::<u8>]
        ("strided_2") (dst: *u16, src: *u16; dims: Dims) [strided::<u16>]
        ("strided_4") (dst: *u32, src: *u32; dims: Dims) [strided::<u32>]
        ("strided_8") (dst: *u64, src: *u64; dims: Dims) [strided::<u64>]
        ("strided_16") (dst: *u128, src: *u128; dims: Dims) [strided::<u128>]
        ("transpose_1") (dst: *u8, src: *u8; tiles: Tiles)
            [transpose_in::<u8, { steps(1) }>, transpose_out::<u8, { steps(1) }>]
        ("transpose_2") (dst: *u16, src: *u16; tiles: Tiles)
            [transpose_in::<u16, { steps(2) }>, transpose_out::<u16, { steps(2) }>]
        ("transpose_4") (dst: *u32, src: *u32; tiles: Tiles)
            [transpose_in::<u32, { steps(4) }>, transpose_out::<u32, { steps(4) }>]
        ("transpose_8") (dst: *u64, src: *u64; tiles: Tiles)
            [transpose_in::<u64, { steps(8) }>, transpose_out::<u64, { steps(8) }>]
        ("transpose_16") (dst: *u128, src: *u128; tiles: Tiles)
            [transpose_in::<u128, { steps(16) }>, transpose_out::<u128, { steps(16) }>]
        ("fill_1") (dst: *u8; value: u8, dims: Dims) [fill::<u8>]
        ("fill_2") (dst: *u16; value: u16, dims: Dims) [fill::<u16>]
        ("fill_4") (dst: *u32; value: u32, dims: Dims) [fill::<u32>]
        ("fill_8") (dst: *u64; value: u64, dims: Dims) [fill::<u64>]
        ("fill_16") (dst: *u128; value: u128, dims: Dims) [fill::<u128>]
    ]
    []
    ("bool" StoredBool)
    ("int8" i8)
    ("int16" i16)
    ("int32" i32)
    ("int64" i64)
    ("uint8" u8)
    ("uint16" u16)
    ("uint32" u32)
    ("uint64" u64)
    ("float16" f16)
    ("bfloat16" bf16)
    ("float32" f32)
    ("float64" f64)
    ("complex64" C64)
    ("complex128" C128)
    ("float8_e4m3fn" F8E4M3)
    ("float8_e5m2" F8E5M2)
}
