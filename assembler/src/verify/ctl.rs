//! A question to a host by `hullkit ctl`, as a user would put it.

use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use linuxkit_yaml::test::CtlAnswer;

use super::probe::{self, Complaint};

/// Bytes kept of each of its outputs.
const MOST: usize = 4 << 20;

/// Time between two looks at a command that runs.
const PAUSE: Duration = Duration::from_millis(50);

/// Put a question once.
///
/// In: `hullkit`, the program; `machine`, what the host is called.
pub(super) fn ask(hullkit: &Path, machine: &str, wanted: &CtlAnswer, deadline: Instant) -> Result<(), Complaint> {
    let mut command = Command::new(hullkit);
    command.args(["ctl", "--vm", machine]).args(&wanted.args.value);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|cause| format!("could not run `{}`: {cause}", hullkit.display()))?;
    let result = talk(&mut child, wanted, deadline);
    // One that goes on has said what was wanted, or never will.
    let _ = child.kill();
    let _ = child.wait();
    result
}

fn talk(child: &mut Child, wanted: &CtlAnswer, deadline: Instant) -> Result<(), Complaint> {
    let gone = |cause| format!("`hullkit ctl` is gone: {cause}");
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // One that reads nothing closes it.
    let _ = stdin.map(|mut stdin| stdin.write_all(wanted.input.as_bytes()));
    let (stdout, stderr) = (Collected::of(stdout), Collected::of(stderr));
    let code = loop {
        if let Some(status) = child.try_wait().map_err(gone)? {
            break status.code();
        }
        if Instant::now() >= deadline || wanted.goes_on && lacks(wanted, &stdout.so_far()).is_none() {
            break None;
        }
        thread::sleep(PAUSE);
    };
    if code.is_none() {
        let _ = child.kill();
    }
    let said = stdout.finish() + &stderr.finish();
    let shown = probe::shown(said.as_bytes());
    if let Some(text) = lacks(wanted, &said) {
        return Err(format!("it does not say `{text}`, but {shown}"));
    }
    if let Some(text) = wanted.never.iter().find(|text| said.contains(*text)) {
        return Err(format!("it says `{text}`: {shown}"));
    }
    match code {
        _ if wanted.goes_on => Ok(()),
        Some(code) if code == wanted.exit => Ok(()),
        Some(code) => Err(format!("it ended with {code}, not with {}, and said {shown}", wanted.exit)),
        None => Err(format!("it did not end, and said {shown}")),
    }
}

fn lacks<'s>(wanted: &'s CtlAnswer, text: &str) -> Option<&'s str> {
    // Columns are as wide as what is in them.
    let plain = text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    wanted.contains.iter().map(String::as_str).find(|text| !plain.contains(text))
}

/// What a command has said so far.
struct Collected {
    text: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Collected {
    /// Read a stream to its end on a thread of its own; of what is longer than [`MOST`], the start is kept.
    fn of(stream: Option<impl Read + Send + 'static>) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&text);
        let reader = stream.map(|mut stream| {
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = MOST.saturating_sub(kept.len()).min(count);
                    kept.extend_from_slice(&buffer[..room]);
                }
            })
        });
        Self { text, reader }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    fn finish(mut self) -> String {
        let _ = self.reader.take().map(JoinHandle::join);
        self.so_far()
    }
}
