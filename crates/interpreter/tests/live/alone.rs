//! Tests that need a process in which nobody has used the interpreter before.

use std::process::Command;

const NAME: &str = "NDBRIDGE_TEST_ALONE";

/// Runs `body` in a process of its own: this program again, with `test`, the test's full name, alone.
pub fn alone(test: &str, body: impl FnOnce()) {
    if std::env::var_os(NAME).is_some_and(|name| name == test) {
        return body();
    }
    let mut program = Command::new(std::env::current_exe().unwrap());
    let ran = program.args([test, "--exact", "--nocapture"]).env(NAME, test).output().unwrap();
    let text = String::from_utf8_lossy(&ran.stdout);
    // A name that is no test's runs nothing.
    let is_passed = ran.status.success() && text.contains("1 passed");
    assert!(is_passed, "{test}: {}\n{text}{}", ran.status, String::from_utf8_lossy(&ran.stderr));
}
