//! Python environments, and the wheels that are tested in them.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::interpreters::Interpreter;
use crate::steps::{execute, output};
use crate::workspace::Workspace;

/// The folder of the crate that is the Python package.
pub const PACKAGE: &str = "crates/wheel";

/// The folder of an extension module that uses the library.
pub const EXAMPLE: &str = "crates/example-extension";

/// A virtual environment.
pub struct Environment {
    folder: PathBuf,
    /// Where maturin is, if it is not in the environment itself.
    base: Option<PathBuf>,
}

impl Environment {
    /// Makes (or reuses) `target/NAME/venv` from `crates/xtask/requirements/NAME.txt`.
    pub fn named(workspace: &Workspace, name: &str) -> Result<Self, Error> {
        let interpreter = Interpreter::find()?;
        Self::make(
            &workspace.target.join(name).join("venv"),
            &interpreter,
            &requirements(workspace, name),
        )
    }

    /// The environment for the tests, of another interpreter.
    pub fn of_version(workspace: &Workspace, interpreter: &Interpreter) -> Result<Self, Error> {
        let folder = workspace.target.join(format!("test-{}", interpreter.version)).join("venv");
        Self::make(&folder, interpreter, &requirements(workspace, "test"))
    }

    /// All the frameworks, in `target/peers/venv`. What is large lies in the user's cache, for
    /// every checkout; what belongs to this one, such as the wheel, in the environment over it.
    pub fn peers(workspace: &Workspace) -> Result<Self, Error> {
        let cache = cache_folder(|name| std::env::var_os(name))?;
        fs::create_dir_all(&cache).map_err(|source| file_error(&cache, source))?;
        let interpreter = Interpreter::find()?;
        // Two checkouts must not fill it at once: the second waits here.
        let lock = cache.join("peers.lock");
        let locked = fs::File::create(&lock).and_then(|file| file.lock().map(|()| file));
        let locked = locked.map_err(|source| file_error(&lock, source))?;
        let base =
            Self::make(&cache.join("peers"), &interpreter, &requirements(workspace, "peers"))?;
        drop(locked);
        base.overlaid(&interpreter, workspace.target.join("peers").join("venv"))
    }

    /// The interpreter of this environment.
    pub fn python(&self) -> Command {
        let mut command = Command::new(program(&self.folder, "python"));
        // A package on the caller's path must not shadow the wheel under test.
        command.env_remove("PYTHONPATH").env_remove("PYTHONHOME");
        command
    }

    /// Has what `command` builds and runs link this environment's interpreter, and find its packages.
    ///
    /// # Errors
    /// [`Error::NoLibrary`] if the interpreter has no library to link.
    pub fn embed(&self, command: &mut Command) -> Result<(), Error> {
        let answer = output(self.python().args(["-c", Linked::PROBE]))?;
        let found = Linked::read(&String::from_utf8_lossy(&answer))?;
        command.env("PYO3_PYTHON", Interpreter::find()?.program);
        command.env("PYTHONHOME", found.home).env("PYTHONPATH", found.packages);
        let path = if cfg!(target_os = "macos") { "DYLD_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };
        let others = std::env::var_os(path).unwrap_or_default();
        let paths = std::iter::once(found.libraries).chain(std::env::split_paths(&others));
        if let Ok(paths) = std::env::join_paths(paths) {
            command.env(path, paths);
        }
        Ok(())
    }

    /// Builds the wheel of the crate in `folder` and installs it.
    pub fn install_crate(&self, workspace: &Workspace, folder: &str) -> Result<PathBuf, Error> {
        let wheel = self.build(workspace, folder)?;
        self.install(&wheel)?;
        Ok(wheel)
    }

    /// Installs a wheel; what it depends on is there.
    pub fn install(&self, wheel: &Path) -> Result<(), Error> {
        execute(self.pip().args(["--force-reinstall", "--no-deps"]).arg(wheel))
    }

    fn make(folder: &Path, interpreter: &Interpreter, requirements: &Path) -> Result<Self, Error> {
        let text =
            fs::read_to_string(requirements).map_err(|source| file_error(requirements, source))?;
        let stamp = format!("{}\n{text}", interpreter.program.display());
        let made = Self { folder: folder.to_owned(), base: None };
        made.fill(&interpreter.program, &stamp, || {
            execute(made.pip().arg("--requirement").arg(requirements))
        })?;
        Ok(made)
    }

    /// Another environment that sees the packages of this one beside its own.
    fn overlaid(&self, interpreter: &Interpreter, folder: PathBuf) -> Result<Self, Error> {
        let packages = self.packages()?;
        let stamp = format!("{}\n{}", interpreter.program.display(), packages.display());
        let made = Self { folder, base: Some(self.folder.clone()) };
        made.fill(&interpreter.program, &stamp, || {
            let path = made.packages()?.join("base.pth");
            fs::write(&path, packages.as_os_str().as_encoded_bytes())
                .map_err(|source| file_error(&path, source))
        })?;
        Ok(made)
    }

    /// Makes the environment anew, unless it was filled to the end under the same stamp.
    fn fill(
        &self,
        interpreter: &Path,
        stamp: &str,
        fill: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let file = self.folder.join("stamp.txt");
        if fs::read_to_string(&file).is_ok_and(|found| found == stamp) {
            return Ok(());
        }
        // First, so that an interrupted run leaves none.
        remove(&file, fs::remove_file)?;
        execute(Command::new(interpreter).args(["-m", "venv", "--clear"]).arg(&self.folder))?;
        fill()?;
        fs::write(&file, stamp).map_err(|source| file_error(&file, source))
    }

    /// The folder that packages are installed to.
    pub fn packages(&self) -> Result<PathBuf, Error> {
        let code = "import sysconfig; print(sysconfig.get_path('purelib'), end='')";
        let answer = output(self.python().args(["-c", code]))?;
        Ok(String::from_utf8_lossy(&answer).as_ref().into())
    }

    /// Builds the wheel of the crate in `folder`.
    pub fn build(&self, workspace: &Workspace, folder: &str) -> Result<PathBuf, Error> {
        let manifest = workspace.root.join(folder).join("Cargo.toml");
        let wheels = workspace.target.join("wheels").join(folder);
        remove(&wheels, fs::remove_dir_all)?;
        let mut maturin =
            Command::new(program(self.base.as_ref().unwrap_or(&self.folder), "maturin"));
        maturin.current_dir(&workspace.root);
        maturin.args(["build", "--release", "--quiet", "--compatibility", "linux"]);
        maturin.arg("--manifest-path").arg(manifest).arg("--out").arg(&wheels);
        maturin.arg("--target-dir").arg(&workspace.target);
        // The same for every environment, so that cargo has nothing to build twice.
        maturin.arg("--interpreter").arg(Interpreter::find()?.program);
        execute(&mut maturin)?;
        only_file(wheels)
    }

    fn pip(&self) -> Command {
        let mut command = self.python();
        command.args(["-m", "pip", "install", "--quiet", "--no-input"]);
        command.arg("--disable-pip-version-check");
        command
    }
}

/// What a program needs that is an interpreter itself.
#[derive(Debug, PartialEq)]
struct Linked {
    home: String,
    /// The folder of the shared library.
    libraries: PathBuf,
    /// Where packages are found, as PYTHONPATH has it: also those of an environment below this one.
    packages: String,
}

impl Linked {
    const PROBE: &str = "import os, sys, sysconfig; \
        get = lambda name: sysconfig.get_config_var(name) or ''; \
        names = 'site-packages', 'dist-packages'; \
        packages = [path for path in sys.path if os.path.basename(path) in names]; \
        folder = get('PYTHONFRAMEWORKPREFIX') or get('LIBDIR'); \
        print(sys.base_prefix, folder, get('LDLIBRARY'), os.pathsep.join(packages), sep='\\n')";

    /// Reads what the probe prints.
    fn read(answer: &str) -> Result<Self, Error> {
        let mut lines = answer.lines();
        let mut next = || lines.next().unwrap_or_default().to_owned();
        let (home, folder, name, packages) = (next(), next(), next(), next());
        let (libraries, library) = (PathBuf::from(&folder), Path::new(&folder).join(&name));
        // Windows tells no folder: the library stands beside the program.
        let is_shared = !name.ends_with(".a") && library.is_file();
        if is_shared || cfg!(windows) {
            Ok(Self { home, libraries, packages })
        } else {
            Err(Error::NoLibrary { library })
        }
    }
}

fn requirements(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.root.join(format!("crates/xtask/requirements/{name}.txt"))
}

fn program(environment: &Path, name: &str) -> PathBuf {
    environment.join(if cfg!(windows) { "Scripts" } else { "bin" }).join(name)
}

/// Where the user keeps what every checkout can use.
fn cache_folder(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, Error> {
    let folder = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("NDBRIDGE_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|caches| caches.join("ndbridge")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache").join("ndbridge")))
        .ok_or(Error::NoCache)
}

/// Removes what may not be there.
fn remove<'p>(path: &'p Path, with: fn(&'p Path) -> io::Result<()>) -> Result<(), Error> {
    with(path).or_else(|source| match source.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(file_error(path, source)),
    })
}

fn file_error(path: &Path, source: io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}

fn only_file(folder: PathBuf) -> Result<PathBuf, Error> {
    let entries = fs::read_dir(&folder).map_err(|source| file_error(&folder, source))?;
    let found: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    match found.as_slice() {
        [file] => Ok(file.clone()),
        _ => Err(Error::Wheel { folder, found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn an_interrupted_environment_is_made_again() {
        let made = Environment { folder: scratch("environment"), base: None };
        let fill = |stamp: &str, outcome: fn() -> Result<(), Error>| {
            let mut filled = false;
            // A program that does nothing stands for the interpreter.
            let result = made.fill(Path::new("true"), stamp, || {
                filled = true;
                outcome()
            });
            (filled, result.is_ok())
        };
        let interrupted = || Err(Error::Metadata { expected: "a network" });
        assert_eq!(fill("old", interrupted), (true, false));
        assert_eq!(fill("old", || Ok(())), (true, true));
        assert_eq!(fill("old", || Ok(())), (false, true));
        assert_eq!(fill("new", interrupted), (true, false));
        assert_eq!(fill("old", || Ok(())), (true, true), "what is there is no longer the old one");
        fs::remove_dir_all(&made.folder).unwrap();
    }

    #[test]
    fn the_cache_is_the_first_folder_that_is_named() {
        let found = |variables: &[(&str, &str)]| {
            let variable = |name: &str| {
                variables.iter().find(|(found, _)| *found == name).map(|(_, value)| value.into())
            };
            cache_folder(variable).ok()
        };
        let variables = [("NDBRIDGE_CACHE", "n"), ("XDG_CACHE_HOME", "x"), ("HOME", "h")];
        assert_eq!(found(&variables), Some("n".into()));
        assert_eq!(found(&variables[1..]), Some("x/ndbridge".into()));
        assert_eq!(found(&variables[2..]), Some("h/.cache/ndbridge".into()));
        assert_eq!(
            found(&[("NDBRIDGE_CACHE", ""), ("XDG_CACHE_HOME", "x")]),
            Some("x/ndbridge".into())
        );
        assert_eq!(found(&[]), None);
    }

    #[test]
    #[cfg(not(windows))]
    fn an_interpreter_without_a_shared_library_is_named() {
        let libraries = scratch("libraries");
        let read = |name: &str| {
            Linked::read(&format!("/home\n{}\n{name}\n/one:/two\n", libraries.display()))
        };
        fs::write(libraries.join("libpython3.so"), "").unwrap();
        fs::write(libraries.join("libpython3.a"), "").unwrap();
        let (home, packages) = ("/home".to_owned(), "/one:/two".to_owned());
        let found = Linked { home, libraries: libraries.clone(), packages };
        assert_eq!(read("libpython3.so").unwrap(), found);
        for missing in ["libpython3.a", "libpython4.so", ""] {
            let error = read(missing).unwrap_err().to_string();
            assert!(error.contains("--enable-shared") && error.contains(missing), "{error}");
        }
        fs::remove_dir_all(libraries).unwrap();
    }

    #[test]
    fn two_wheels_are_refused() {
        let folder = scratch("wheels");
        fs::write(folder.join("a.whl"), "").unwrap();
        assert!(only_file(folder.clone()).unwrap().ends_with("a.whl"));
        fs::write(folder.join("b.whl"), "").unwrap();
        assert!(
            matches!(only_file(folder.clone()), Err(Error::Wheel { found, .. }) if found.len() == 2)
        );
        fs::remove_dir_all(folder).unwrap();
    }
}
