//! The PTX that is checked in, as text: what a driver and the host's launches rely on.

use std::io::Read;
use std::sync::LazyLock;

use flate2::read::ZlibDecoder;
use ndbridge_cuda_kernels::{KERNELS, module_text};

static PTX: LazyLock<String> = LazyLock::new(|| {
    let mut text = String::new();
    let packed = include_bytes!("../kernels.ptx.z");
    ZlibDecoder::new(&packed[..]).read_to_string(&mut text).expect("compressed text");
    text
});

#[test]
fn it_is_for_every_gpu_since_volta() {
    for line in [".version 7.0", ".target sm_70", ".address_size 64"] {
        assert_eq!(PTX.lines().filter(|found| *found == line).count(), 1, "{line}");
    }
}

#[test]
fn every_kernel_has_one_entry_with_its_parameters() {
    let entries = PTX.matches(".entry ").count();
    assert_eq!(entries, KERNELS.len());
    for kernel in KERNELS {
        let (_, entry) = PTX.split_once(&format!(".visible .entry {}(", kernel.name)).unwrap();
        let (params, _) = entry.split_once(')').unwrap();
        let bytes: Vec<usize> = params.lines().filter_map(param_bytes).collect();
        assert_eq!(bytes, kernel.params, "{}", kernel.name);
    }
}

/// `.param .align 4 .b8 name[264]` is 264, `.param .u64 .ptr .align 1 name` is 8.
fn param_bytes(line: &str) -> Option<usize> {
    let words = line.trim().trim_end_matches(',').strip_prefix(".param ")?;
    let bits = words.split(' ').find_map(|word| {
        word.strip_prefix(".b").or_else(|| word.strip_prefix(".u"))?.parse::<usize>().ok()
    });
    let items = words.strip_suffix(']').and_then(|words| words.rsplit('[').next()?.parse().ok());
    Some(bits? / 8 * items.unwrap_or(1))
}

#[test]
fn no_kernel_calls_a_function_or_spills() {
    // Panics would be calls; arrays that did not end in registers would be local.
    for word in ["call", ".func", ".local", "trap;"] {
        assert!(!PTX.contains(word), "{word}");
    }
}

#[test]
fn floats_are_computed_as_on_the_host() {
    // `ptxas` may fuse what is not marked `.rn`, so no product may meet a sum.
    for word in ["ftz", "fma", "mul.f", "mul.rn.f", ".approx"] {
        assert!(!PTX.contains(word), "{word}");
    }
}

#[test]
fn a_module_stands_alone() {
    for kernel in KERNELS {
        let module = module_text(kernel.name).unwrap();
        let (header, body) = module.split_once(".visible .entry ").unwrap();
        assert!(PTX.starts_with(header) && PTX.contains(body), "{}", kernel.name);
        assert!(header.contains(".extern .shared"), "{}", kernel.name);
        assert!(body.starts_with(kernel.name) && !body.contains(".entry"), "{}", kernel.name);
        assert!(body.ends_with("\n}\n"), "{}", kernel.name);
        assert_eq!(module.matches('{').count(), module.matches('}').count(), "{}", kernel.name);
    }
    assert_eq!(module_text("strided_3"), None);
    assert_eq!(module_text("strided"), None);
}
