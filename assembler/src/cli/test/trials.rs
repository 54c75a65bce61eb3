//! Every boot of every round, several at once if that is wanted.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::Context as _;
use linuxkit_yaml::Spanned;
use linuxkit_yaml::test::{Host, Test};
use rustix::fs::{FlockOperation, flock};

use super::TestArgs;
use super::file::{self, What};
use super::subjects::{self, Names};
use crate::cli::Global;
use crate::digest::Digest;
use crate::platform::Arch;
use crate::verify::report::failure;
use crate::verify::{Cell, Hardware, Last, Subject, Trial, Verdict, VerifyError, subject, verify};
use crate::vm::{HostFacts, Launcher, Tools, VmError, find_qemu};

/// What every boot of a test shares.
pub(super) struct Setting<'s> {
    args: &'s TestArgs,
    global: &'s Global,
    what: What,
    test: &'s Test,
    folder: PathBuf,
    /// Whoever holds it has the folder for itself.
    _lock: File,
}

impl<'s> Setting<'s> {
    /// Take a folder for what a test makes.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(super) fn new(args: &'s TestArgs, global: &'s Global, what: What, test: &'s Test) -> anyhow::Result<Self> {
        let folder = match &args.dir {
            Some(dir) => dir.clone(),
            None => {
                let mut key = Vec::new();
                for path in &args.what {
                    let place = std::path::absolute(path).context("could not find the working directory")?;
                    key.extend_from_slice(place.as_os_str().as_encoded_bytes());
                }
                global.store()?.folder("test").join(Digest::of(&key).short())
            }
        };
        fs::create_dir_all(&folder).with_context(|| format!("could not make the folder `{}`", folder.display()))?;
        // QEMU and reports name files by it, from wherever they are read.
        let folder = folder.canonicalize().with_context(|| format!("could not find `{}`", folder.display()))?;
        let path = folder.join("lock");
        let lock = File::create(&path).with_context(|| format!("could not create `{}`", path.display()))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            eprintln!("waiting for another test in `{}`", folder.display());
            flock(&lock, FlockOperation::LockExclusive)
                .with_context(|| format!("could not lock `{}`", path.display()))?;
        }
        Ok(Self { args, global, what, test, folder, _lock: lock })
    }

    /// Name what is tested.
    pub(super) fn name(&self) -> String {
        self.args.what.last().map(|path| path.display().to_string()).unwrap_or_default()
    }

    /// Build, and boot every cell as often as is wanted.
    ///
    /// # Errors
    ///
    /// Nothing could be built. A cell that cannot be booted has a verdict of its own.
    pub(super) fn verdicts(&self, cells: &[Cell]) -> anyhow::Result<Vec<Verdict>> {
        let tools = self.tools(cells);
        // A build is worth its time only if something can boot it.
        if let Some(Err(error)) = tools.values().find(|found| found.is_err())
            && tools.values().all(Result::is_err)
        {
            eprintln!("{}", chain(error));
            let rounds = self.rounds(cells).into_iter();
            let unable = rounds.map(|(cell, round)| Verdict::unable(&cell.to_string(), round, error.to_string()));
            return Ok(unable.collect());
        }
        let names = subjects::build(self.args, self.global, &self.what, &self.test.hosts, cells, &self.folder)?;
        let rounds = self.rounds(cells);
        let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        let workers = self.global.jobs.map_or(1, NonZeroUsize::get).min(rounds.len());
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some((cell, round)) = rounds.get(number) else { return };
                        let verdict = self.verdict(cell, *round, &names, &tools);
                        if !self.global.quiet && rounds.len() > 1 {
                            eprintln!("{}  {} #{round}", verdict.result, verdict.cell);
                        }
                        // At once: whoever waits for many boots may want to wait no longer.
                        eprint!("{}", failure(&verdict));
                        done.lock().unwrap_or_else(PoisonError::into_inner).insert(number, verdict);
                    }
                });
            }
        });
        Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect())
    }

    /// Every boot with the number of its round.
    fn rounds<'c>(&self, cells: &'c [Cell]) -> Vec<(&'c Cell, u32)> {
        let rounds = 1..=self.args.repeat.get();
        rounds.flat_map(|round| cells.iter().map(move |cell| (cell, round))).collect()
    }

    /// Find what runs the machines of each architecture.
    fn tools(&self, cells: &[Cell]) -> BTreeMap<Arch, Result<Tools, VmError>> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let facts = HostFacts::gather();
        let mut tools = BTreeMap::new();
        for cell in cells {
            let find = || {
                let qemu = find_qemu(cell.arch, &path)?;
                let choice = self.args.accel.choose(cell.arch, &facts, &qemu)?;
                if let Some(note) = &choice.note {
                    eprintln!("note: {note}");
                }
                Ok(Tools { qemu, launcher: Launcher::this_program(), accelerator: choice.accelerator })
            };
            tools.entry(cell.arch).or_insert_with(find);
        }
        tools
    }

    fn verdict(
        &self,
        cell: &Cell,
        round: u32,
        names: &Names,
        tools: &BTreeMap<Arch, Result<Tools, VmError>>,
    ) -> Verdict {
        let text = cell.to_string();
        let tools = match tools.get(&cell.arch) {
            Some(Ok(tools)) => tools,
            Some(Err(error)) => return Verdict::unable(&text, round, error.to_string()),
            None => return Verdict::unable(&text, round, format!("there is no QEMU for {}", cell.arch)),
        };
        let tried = self.trial(cell, round, names, tools);
        tried.unwrap_or_else(|error| Verdict::unable(&text, round, chain(&error)))
    }

    fn trial(&self, cell: &Cell, round: u32, names: &Names, tools: &Tools) -> Result<Verdict, VerifyError> {
        let subjects = if self.test.hosts.is_empty() {
            vec![self.subject(cell, names, None)?]
        } else {
            self.test.hosts.iter().map(|host| self.subject(cell, names, Some(host))).collect::<Result<_, _>>()?
        };
        let text = cell.to_string();
        let folder = self.folder.join(if round > 1 { format!("{text}-{round}") } else { text.clone() });
        empty(&folder).map_err(|cause| VerifyError::File { path: folder.clone(), cause })?;
        let trial = Trial {
            cell: text,
            round,
            subjects: &subjects,
            test: self.test,
            tools,
            hullkit: Path::new("/proc/self/exe"),
            folder: &folder,
            last: Last::PowerOff,
        };
        let keep: Option<&dyn Fn(&Verdict)> = if self.args.keep { Some(&leave) } else { None };
        verify(&trial, keep)
    }

    fn subject(&self, cell: &Cell, names: &Names, host: Option<&Host>) -> Result<Subject, VerifyError> {
        let name = host.map(|host| host.name.value.as_str());
        let files = names.get(name, cell.arch).ok_or_else(|| VerifyError::Cell {
            text: cell.to_string(),
            what: format!("`{}` is no such file", self.name()),
        })?;
        subject(cell, files, self.test, name, &self.hardware(host)?)
    }

    fn hardware(&self, host: Option<&Host>) -> Result<Hardware, VerifyError> {
        let usual = Hardware::of(self.test, host)?;
        let user_data = host.and_then(|host| host.metadata.as_ref()).or(self.test.metadata.as_ref());
        // A path in a test begins where the test is.
        let beside = |path: &Spanned<String>| file::folder(Path::new(&*path.at.file)).join(&path.value);
        Ok(Hardware {
            memory: self.args.mem.unwrap_or(usual.memory),
            cpus: self.args.cpus.unwrap_or(usual.cpus),
            user_data: user_data.map(beside),
            secure_boot: self.args.secure_boot.clone(),
            extra: self.args.extra.clone(),
        })
    }
}

/// Say how to look around in a machine that is left, and wait until that is enough.
fn leave(verdict: &Verdict) {
    eprint!("\n{}", failure(verdict));
    for name in verdict.hosts.iter().filter_map(|host| host.kept.as_ref()) {
        eprintln!("kept: `hullkit ctl --vm {name} ps`, `hullkit attach {name}`");
    }
    eprintln!("Ctrl-C ends it");
    loop {
        thread::park();
    }
}

fn empty(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(folder),
    }
}

/// Put an error and its causes into one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    anyhow::Chain::new(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
