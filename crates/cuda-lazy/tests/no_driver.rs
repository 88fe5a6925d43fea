//! A machine without a driver: errors, not panics, and nothing that the loader would look for.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::fs;
use std::process::Command;

use ndbridge_cuda_lazy::{SYMBOLS, is_bound, load, symbol};

// The variable is read once in a process, so the check runs in one of its own.
fn in_another_process(test: &str) {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command.args(["--ignored", "--exact", test]).env("NDBRIDGE_CUDA_DRIVER", "/nowhere/libcuda.so");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn an_absent_driver_is_an_error_with_the_loaders_text() {
    in_another_process("absent");
}

#[test]
#[ignore = "needs the environment of its twin"]
fn absent() {
    let text = load().unwrap_err().to_string();
    assert!(text.starts_with("no CUDA driver: /nowhere/libcuda.so: cannot open"), "{text}");
    assert!(!is_bound());
    assert_eq!(symbol(c"cuInit"), None);
}

#[test]
fn cust_answers_errors_where_no_driver_is() {
    in_another_process("cust_answers");
}

#[test]
#[ignore = "needs the environment of its twin"]
fn cust_answers() {
    use cust::error::CudaError;
    assert_eq!(cust::device::Device::num_devices(), Err(CudaError::NotInitialized));
    assert_eq!(cust::init(cust::CudaFlags::empty()), Err(CudaError::NoDevice));
    // cust prints them in quotes.
    assert_eq!(CudaError::NoDevice.to_string(), "\"no CUDA-capable device is detected\"");
    assert_eq!(CudaError::UnknownError.to_string(), "\"unrecognized error code\"");
}

#[test]
fn the_program_asks_for_no_driver_library() {
    // Referenced, so that the trampolines are part of this program.
    assert_eq!(SYMBOLS.len(), 353);
    assert!(!is_bound() || load().is_ok());
    let program = fs::read(std::env::current_exe().unwrap()).unwrap();
    assert!(!needed(&program).iter().any(|name| name.starts_with("libcuda")));
    assert!(needed(&program).iter().any(|name| name.starts_with("libc.so")));
}

/// The libraries that a 64-bit little-endian ELF file needs: `DT_NEEDED` of its dynamic section.
fn needed(file: &[u8]) -> Vec<String> {
    let word = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
    let half = |at: usize| u16::from_le_bytes([file[at], file[at + 1]]) as usize;
    let kind = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let sections: Vec<usize> = (0..half(60)).map(|i| word(40) + i * half(58)).collect();
    let dynamic = *sections.iter().find(|at| kind(**at + 4) == 6).unwrap();
    let strings = word(sections[kind(dynamic + 40) as usize] + 24);
    let entries = (word(dynamic + 24)..word(dynamic + 24) + word(dynamic + 32)).step_by(16);
    let name = |at: usize| {
        let text = &file[strings + word(at + 8)..];
        let end = text.iter().position(|byte| *byte == 0).unwrap();
        String::from_utf8(text[..end].to_vec()).unwrap()
    };
    entries.filter(|at| word(*at) == 1).map(name).collect()
}
