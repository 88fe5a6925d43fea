//! Running commands one after the other, timing each, and the closing summary.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::Error;

/// The steps of a task. A failed step does not stop the ones that do not need it.
#[derive(Default)]
pub struct Steps {
    done: Vec<Step>,
}

struct Step {
    name: String,
    time: Duration,
    passed: bool,
}

impl Steps {
    /// Runs `work` under a heading; `None` if it failed.
    pub fn run<R>(&mut self, name: &str, work: impl FnOnce() -> Result<R, Error>) -> Option<R> {
        eprintln!("\n==> {name}");
        let start = Instant::now();
        let result = work();
        if let Err(error) = &result {
            eprintln!("error: {name}: {error}");
        }
        let (time, passed) = (start.elapsed(), result.is_ok());
        self.done.push(Step { name: name.to_owned(), time, passed });
        result.ok()
    }

    /// Runs one command under a heading.
    pub fn command(&mut self, name: &str, command: &mut Command) {
        self.run(name, || execute(command));
    }

    /// Prints every step with its time; an error if one failed.
    pub fn finish(self) -> Result<(), Error> {
        eprintln!();
        for step in &self.done {
            let outcome = if step.passed { "ok" } else { "FAILED" };
            eprintln!("{outcome:>6} {:8.1} s  {}", step.time.as_secs_f64(), step.name);
        }
        let failed = self.done.into_iter().filter(|step| !step.passed).map(|step| step.name);
        match failed.collect::<Vec<_>>() {
            failed if failed.is_empty() => Ok(()),
            failed => Err(Error::Steps { failed }),
        }
    }
}

/// Runs a command to its end, without input.
pub fn execute(command: &mut Command) -> Result<(), Error> {
    eprintln!("  $ {}", display(command));
    let status = command.stdin(Stdio::null()).status();
    match status.map_err(|source| Error::Start { command: display(command), source })? {
        status if status.success() => Ok(()),
        status => Err(Error::Failed { command: display(command), status }),
    }
}

/// Standard output of a command that succeeds.
pub fn output(command: &mut Command) -> Result<Vec<u8>, Error> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|source| Error::Start { command: display(command), source })?;
    match output.status {
        status if status.success() => Ok(output.stdout),
        status => Err(Error::Failed { command: display(command), status }),
    }
}

/// A command as it would be typed.
pub fn display(command: &Command) -> String {
    let settings = command.get_envs().filter_map(|(name, value)| {
        value.map(|value| format!("{}={:?}", name.to_string_lossy(), value.to_string_lossy()))
    });
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    settings
        .chain(words.map(|word| word.to_string_lossy().into_owned()))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_fails_the_task_and_the_rest_still_runs() {
        let mut steps = Steps::default();
        let broken = || Err::<(), _>(Error::Metadata { expected: "a test" });
        assert!(steps.run("first", broken).is_none());
        assert_eq!(steps.run("second", || Ok(7)), Some(7));
        let error = steps.finish().unwrap_err();
        assert!(matches!(error, Error::Steps { failed } if failed == ["first"]));
    }

    #[test]
    fn a_command_that_fails_is_named() {
        let error = execute(Command::new("cargo").arg("no-such-task")).unwrap_err();
        assert!(error.to_string().starts_with("`cargo no-such-task` failed"), "{error}");
    }
}
