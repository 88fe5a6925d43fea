//! The driver's error codes: their names, and what to do about those that have a remedy.

/// Names the codes, of CUDA 13.3's `CUresult`: a driver describes its own, and an older one cannot
/// describe them all.
macro_rules! codes {
    ($($name:ident = $code:literal;)*) => {
        /// The driver's name of a code, without `CUDA_ERROR_`.
        pub(super) fn name_of(code: i32) -> &'static str {
            match code {
                $($code => stringify!($name),)*
                _ => "a code newer than this build",
            }
        }

        #[cfg(test)]
        const ALL: &[i32] = &[$($code),*];
    };
}

codes! {
    INVALID_VALUE = 1;
    OUT_OF_MEMORY = 2;
    NOT_INITIALIZED = 3;
    DEINITIALIZED = 4;
    PROFILER_DISABLED = 5;
    PROFILER_NOT_INITIALIZED = 6;
    PROFILER_ALREADY_STARTED = 7;
    PROFILER_ALREADY_STOPPED = 8;
    STUB_LIBRARY = 34;
    CALL_REQUIRES_NEWER_DRIVER = 36;
    DEVICE_UNAVAILABLE = 46;
    NO_DEVICE = 100;
    INVALID_DEVICE = 101;
    DEVICE_NOT_LICENSED = 102;
    INVALID_IMAGE = 200;
    INVALID_CONTEXT = 201;
    CONTEXT_ALREADY_CURRENT = 202;
    MAP_FAILED = 205;
    UNMAP_FAILED = 206;
    ARRAY_IS_MAPPED = 207;
    ALREADY_MAPPED = 208;
    NO_BINARY_FOR_GPU = 209;
    ALREADY_ACQUIRED = 210;
    NOT_MAPPED = 211;
    NOT_MAPPED_AS_ARRAY = 212;
    NOT_MAPPED_AS_POINTER = 213;
    ECC_UNCORRECTABLE = 214;
    UNSUPPORTED_LIMIT = 215;
    CONTEXT_ALREADY_IN_USE = 216;
    PEER_ACCESS_UNSUPPORTED = 217;
    INVALID_PTX = 218;
    INVALID_GRAPHICS_CONTEXT = 219;
    NVLINK_UNCORRECTABLE = 220;
    JIT_COMPILER_NOT_FOUND = 221;
    UNSUPPORTED_PTX_VERSION = 222;
    JIT_COMPILATION_DISABLED = 223;
    UNSUPPORTED_EXEC_AFFINITY = 224;
    UNSUPPORTED_DEVSIDE_SYNC = 225;
    CONTAINED = 226;
    INVALID_SOURCE = 300;
    FILE_NOT_FOUND = 301;
    SHARED_OBJECT_SYMBOL_NOT_FOUND = 302;
    SHARED_OBJECT_INIT_FAILED = 303;
    OPERATING_SYSTEM = 304;
    INVALID_HANDLE = 400;
    ILLEGAL_STATE = 401;
    LOSSY_QUERY = 402;
    NOT_FOUND = 500;
    NOT_READY = 600;
    ILLEGAL_ADDRESS = 700;
    LAUNCH_OUT_OF_RESOURCES = 701;
    LAUNCH_TIMEOUT = 702;
    LAUNCH_INCOMPATIBLE_TEXTURING = 703;
    PEER_ACCESS_ALREADY_ENABLED = 704;
    PEER_ACCESS_NOT_ENABLED = 705;
    PRIMARY_CONTEXT_ACTIVE = 708;
    CONTEXT_IS_DESTROYED = 709;
    ASSERT = 710;
    TOO_MANY_PEERS = 711;
    HOST_MEMORY_ALREADY_REGISTERED = 712;
    HOST_MEMORY_NOT_REGISTERED = 713;
    HARDWARE_STACK_ERROR = 714;
    ILLEGAL_INSTRUCTION = 715;
    MISALIGNED_ADDRESS = 716;
    INVALID_ADDRESS_SPACE = 717;
    INVALID_PC = 718;
    LAUNCH_FAILED = 719;
    COOPERATIVE_LAUNCH_TOO_LARGE = 720;
    TENSOR_MEMORY_LEAK = 721;
    NOT_PERMITTED = 800;
    NOT_SUPPORTED = 801;
    SYSTEM_NOT_READY = 802;
    SYSTEM_DRIVER_MISMATCH = 803;
    COMPAT_NOT_SUPPORTED_ON_DEVICE = 804;
    MPS_CONNECTION_FAILED = 805;
    MPS_RPC_FAILURE = 806;
    MPS_SERVER_NOT_READY = 807;
    MPS_MAX_CLIENTS_REACHED = 808;
    MPS_MAX_CONNECTIONS_REACHED = 809;
    MPS_CLIENT_TERMINATED = 810;
    CDP_NOT_SUPPORTED = 811;
    CDP_VERSION_MISMATCH = 812;
    STREAM_CAPTURE_UNSUPPORTED = 900;
    STREAM_CAPTURE_INVALIDATED = 901;
    STREAM_CAPTURE_MERGE = 902;
    STREAM_CAPTURE_UNMATCHED = 903;
    STREAM_CAPTURE_UNJOINED = 904;
    STREAM_CAPTURE_ISOLATION = 905;
    STREAM_CAPTURE_IMPLICIT = 906;
    CAPTURED_EVENT = 907;
    STREAM_CAPTURE_WRONG_THREAD = 908;
    TIMEOUT = 909;
    GRAPH_EXEC_UPDATE_FAILURE = 910;
    EXTERNAL_DEVICE = 911;
    INVALID_CLUSTER_SIZE = 912;
    FUNCTION_NOT_LOADED = 913;
    INVALID_RESOURCE_TYPE = 914;
    INVALID_RESOURCE_CONFIGURATION = 915;
    KEY_ROTATION = 916;
    STREAM_DETACHED = 917;
    GRAPH_RECAPTURE_FAILURE = 918;
    UNKNOWN = 999;
}

/// What the driver answers about an address that it does not know.
pub(super) const INVALID_VALUE: i32 = 1;
/// What the driver answers when there is no memory left.
pub(super) const OUT_OF_MEMORY: i32 = 2;
/// What the driver answers where a context has to be current.
pub(super) const INVALID_CONTEXT: i32 = 201;
/// Asked for an event or a stream: its work still runs.
pub(super) const NOT_READY: i32 = 600;
/// Asked for the legacy default stream: a stream that waits for it is captured.
pub(super) const CAPTURE_IMPLICIT: i32 = 906;

/// Whether a call was refused because something captures.
pub(super) fn is_of_capture(code: i32) -> bool {
    (900..=908).contains(&code)
}

/// What to do about a code, as the end of a message; nothing if that depends on the call.
pub(super) fn remedy_of(code: i32) -> &'static str {
    match code {
        3 => {
            ": the CUDA driver does not work in a forked child, start processes by spawn or forkserver"
        }
        4 => ": the process is ending",
        34 => ": libcuda.so.1 is the toolkit's stub, remove its folder from LD_LIBRARY_PATH",
        36 => ": install a newer NVIDIA driver",
        46 => ": another process has the device to itself (compute mode), or it has to be reset",
        100 => ": see nvidia-smi, CUDA_VISIBLE_DEVICES and whether the container was given devices",
        201 | 709 => {
            ": something destroyed the device's context, as cudaDeviceReset does, with all memory and \
             streams in it: start the process anew"
        }
        214 | 220 | 226 | 700 | 702 | 710 | 714..=719 => {
            ": work that ran before broke the device's context, start the process anew"
        }
        222 => ": install a newer NVIDIA driver, this one does not know the PTX of the kernels",
        304 => ": the operating system refused, see dmesg and the permissions of /dev/nvidia*",
        802 => ": start the fabric manager (nvidia-fabricmanager), or wait until it is up",
        803 => {
            ": the kernel module and libcuda.so.1 are of two versions, reboot or reload the module; in \
             a container, mount the host's driver"
        }
        804 => {
            ": the forward-compatible libcuda.so.1 does not serve this device, use the driver's own"
        }
        805..=810 => ": see the log of the MPS server (nvidia-cuda-mps-control)",
        900..=908 => ": a stream is captured for a graph, do this before the capture or after it",
        999 => ": see dmesg for an Xid, reload the kernel module (nvidia_uvm) or reboot",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dev_4_every_code_of_the_driver_has_a_name_of_its_own() {
        let names: std::collections::HashSet<_> = ALL.iter().map(|code| name_of(*code)).collect();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(ALL.len(), 102);
        assert!(ALL.is_sorted());
        for (code, name) in [
            (1, "INVALID_VALUE"),
            (226, "CONTAINED"),
            (802, "SYSTEM_NOT_READY"),
            (810, "MPS_CLIENT_TERMINATED"),
            (917, "STREAM_DETACHED"),
            (999, "UNKNOWN"),
        ] {
            assert_eq!(name_of(code), name);
        }
        assert_eq!(name_of(998), "a code newer than this build");
    }

    #[test]
    fn dev_4_a_failed_start_has_a_remedy() {
        for code in [3, 34, 36, 46, 100, 304, 802, 803, 804, 805, 999] {
            assert!(!remedy_of(code).is_empty(), "{}", name_of(code));
        }
        assert!(remedy_of(3).contains("forked child") && remedy_of(3).contains("spawn"));
        assert_eq!(remedy_of(1), "");
    }
}
