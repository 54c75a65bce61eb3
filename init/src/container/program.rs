//! The last steps of a container's start: giving up its rights, and becoming its program.
//!
//! libcontainer's own way refuses a container without `PATH`, even if its program is named by a whole path, as LinuxKit's
//! images do; and what goes wrong in the very last moment is said to nobody. It would also give up the rights before it lets
//! anybody load a program that decides over system calls, and that takes one of them.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use libcontainer::capabilities;
use libcontainer::syscall::syscall::create_syscall;
use libcontainer::workload::default::DefaultExecutor;
use libcontainer::workload::{Executor, ExecutorError, ExecutorValidationError};
use oci_spec::runtime::{LinuxCapabilities, Spec};

use crate::contract::Filter;
use crate::sys;

/// Where a program without a path is looked for if the container has no `PATH`: execvp(3).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Becomes the program of a container.
#[derive(Debug, Clone)]
pub(super) struct Program {
    capabilities: Option<LinuxCapabilities>,
    filter: Option<Filter>,
}

impl Program {
    /// What a container may do: nothing beyond its capabilities, and the system calls that its filter allows.
    pub(super) fn new(spec: &Spec, filter: Option<&Filter>) -> Self {
        let capabilities = spec.process().as_ref().and_then(|process| process.capabilities().clone());
        Self { capabilities, filter: filter.cloned() }
    }
}

/// Give up what a container's process may not do. The filter is first: without "no new privileges" it takes a capability.
pub(super) fn give_up(capabilities: Option<&LinuxCapabilities>, filter: Option<&Filter>) -> io::Result<()> {
    if let Some(filter) = filter {
        let wrong = |cause: io::Error| io::Error::new(cause.kind(), format!("its list of system calls: {cause}"));
        sys::filter_calls(filter).map_err(wrong)?;
    }
    if let Some(kept) = capabilities {
        capabilities::drop_privileges(kept, create_syscall().as_ref()).map_err(io::Error::other)?;
    }
    Ok(())
}

impl Executor for Program {
    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        // By now the container counts as started: its own output is where its end is looked into.
        let tell = |cause: &io::Error| {
            let program = name(spec).unwrap_or_default();
            let _ = writeln!(io::stderr(), "hullkit: could not run `{program}`: {cause}");
        };
        give_up(self.capabilities.as_ref(), self.filter.as_ref()).map_err(|cause| {
            tell(&cause);
            ExecutorError::Other(cause.to_string())
        })?;
        DefaultExecutor {}.exec(spec).inspect_err(|_| tell(&io::Error::last_os_error()))
    }

    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        let wrong = |text: String| Err(ExecutorValidationError::ArgValidationError(text));
        let Some(program) = name(spec).filter(|program| !program.is_empty()) else {
            return wrong("it has no command".to_owned());
        };
        match find(&program, &path(spec)) {
            Found::Program => Ok(()),
            Found::NotExecutable => {
                wrong(format!("`{program}` is in the image, but is no program: it lacks the mode to be run"))
            }
            Found::Nothing if program.contains('/') => wrong(format!("the image has no `{program}`")),
            Found::Nothing => wrong(format!("the image has no `{program}` in `{}`", path(spec))),
        }
    }
}

fn name(spec: &Spec) -> Option<String> {
    spec.process().as_ref()?.args().as_ref()?.first().cloned()
}

fn path(spec: &Spec) -> String {
    let env = spec.process().as_ref().and_then(|process| process.env().as_ref()).into_iter().flatten();
    let own = env.filter_map(|variable| variable.strip_prefix("PATH=")).next_back();
    own.unwrap_or(DEFAULT_PATH).to_owned()
}

/// What was found where a program should be.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Program,
    NotExecutable,
    Nothing,
}

fn find(program: &str, path: &str) -> Found {
    let look = |place: &Path| match std::fs::metadata(place) {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => Found::Program,
        Ok(_) => Found::NotExecutable,
        Err(_) => Found::Nothing,
    };
    if program.contains('/') {
        return look(Path::new(program));
    }
    let found = path.split(':').map(|folder| look(&Path::new(folder).join(program)));
    found.fold(Found::Nothing, |best, next| match (best, next) {
        (Found::Program, _) | (_, Found::Program) => Found::Program,
        (Found::NotExecutable, _) | (_, Found::NotExecutable) => Found::NotExecutable,
        _ => Found::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_its_path_or_in_the_search_path() {
        let cases = [
            ("/bin/sh", "", Found::Program),
            ("sh", "/nowhere:/bin", Found::Program),
            ("sh", "/nowhere", Found::Nothing),
            ("/etc/passwd", "", Found::NotExecutable),
            ("passwd", "/etc:/nowhere", Found::NotExecutable),
            ("/bin", "", Found::NotExecutable),
            ("/not/there", "/bin", Found::Nothing),
        ];
        for (program, path, want) in cases {
            assert_eq!(find(program, path), want, "{program} in {path}");
        }
    }

    #[test]
    fn a_container_without_path_may_name_its_program_by_a_whole_one() {
        let spec = |env: &str, program: &str| {
            let text = format!(
                r#"{{"ociVersion":"1.2.1","process":{{"cwd":"/","user":{{"uid":0,"gid":0}},"args":["{program}"],"env":[{env}]}}}}"#
            );
            serde_json::from_str::<Spec>(&text).unwrap()
        };
        let validate = |spec: Spec| Program::new(&spec, None).validate(&spec);
        validate(spec("", "/bin/sh")).unwrap();
        validate(spec("", "sh")).unwrap();
        let error = validate(spec(r#""PATH=/nowhere""#, "sh")).unwrap_err().to_string();
        assert_eq!(error, "the image has no `sh` in `/nowhere`");
    }
}
