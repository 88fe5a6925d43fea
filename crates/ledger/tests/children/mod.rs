//! Children of a test: each says by its exit status what it found; one that hangs is ended.
#![expect(unsafe_code, reason = "forks, and waits for the child")]

use std::thread;
use std::time::Duration;

/// Far more than any child needs, on whatever machine.
const LONGEST: Duration = Duration::from_secs(120);

/// Forks; the answer of `work` in the child, which does nothing else.
pub fn ask_child(work: impl FnOnce() -> u8) -> u8 {
    // SAFETY: the child calls what is under test, whose locks are whole by that, and ends.
    match unsafe { libc::fork() } {
        0 => {
            let answer = work();
            // SAFETY: runs nothing of the parent's.
            unsafe { libc::_exit(i32::from(answer)) }
        }
        child => {
            assert!(child > 0, "{}", std::io::Error::last_os_error());
            let status = wait_for(child).expect("the child hangs");
            assert!(libc::WIFEXITED(status), "the child crashed: status {status:#x}");
            libc::WEXITSTATUS(status) as u8
        }
    }
}

/// The status that a child ends with; `None` if it had to be ended.
fn wait_for(child: libc::pid_t) -> Option<libc::c_int> {
    const EACH: Duration = Duration::from_micros(200);
    let mut status = 0;
    for _ in 0..LONGEST.as_micros() / EACH.as_micros() {
        // SAFETY: a child that nobody else waits for; `status` is good for writing.
        match unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } {
            0 => thread::sleep(EACH),
            waited => {
                assert_eq!(waited, child, "{}", std::io::Error::last_os_error());
                return Some(status);
            }
        }
    }
    // SAFETY: it was not waited for, so this is its number still.
    unsafe { libc::kill(child, libc::SIGKILL) };
    // SAFETY: as above.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    None
}
