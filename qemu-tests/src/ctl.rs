//! Questions to a running host by `hullkit ctl`, as a user would put them.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::case::Ctl;
use crate::place::Place;

/// Time between two looks at a command that runs, and between a wrong answer and the next question.
const PAUSE: Duration = Duration::from_millis(50);

/// Put every question until its answer is right or the time is over.
///
/// # Errors
///
/// The question, and what was wrong with its last answer.
pub fn ask(steps: &[Ctl], machine: &str, place: &Place, deadline: Instant) -> anyhow::Result<()> {
    for step in steps {
        loop {
            match once(step, machine, place, deadline) {
                Ok(()) => break,
                Err(error) if Instant::now() >= deadline => {
                    return Err(error.context(format!("`hullkit ctl {}`", step.args.join(" "))));
                }
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }
    Ok(())
}

fn once(step: &Ctl, machine: &str, place: &Place, deadline: Instant) -> anyhow::Result<()> {
    let mut command = Command::new(&place.hullkit);
    command.args(["ctl", "--vm", machine]).args(&step.args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("could not run `{}`", place.hullkit.display()))?;
    let result = talk(&mut child, step, deadline);
    // One that goes on has said what was wanted, or never will.
    let _ = child.kill();
    child.wait().context("the command is gone")?;
    result
}

fn talk(child: &mut Child, step: &Ctl, deadline: Instant) -> anyhow::Result<()> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    stdin.context("no input")?.write_all(step.input.as_bytes()).context("it reads nothing")?;
    let (stdout, stderr) = (collect(stdout), collect(stderr));
    let code = loop {
        if let Some(status) = child.try_wait().context("the command is gone")? {
            break status.code();
        }
        if Instant::now() >= deadline || step.goes_on && stdout.lock().is_ok_and(|text| lacks(step, &text).is_none()) {
            break None;
        }
        thread::sleep(PAUSE);
    };
    if code.is_none() {
        let _ = child.kill();
    }
    let (stdout, stderr) = (stdout.finish(), stderr.finish());
    if let Some(text) = lacks(step, &format!("{stdout}{stderr}")) {
        bail!("it does not say `{text}`, but: {stdout}{stderr}");
    }
    if let Some(text) = step.never.iter().find(|text| stdout.contains(*text) || stderr.contains(*text)) {
        bail!("it says `{text}`: {stdout}{stderr}");
    }
    ensure!(step.goes_on || code == Some(step.exit), "it ended with {code:?}: {stdout}{stderr}");
    Ok(())
}

fn lacks<'s>(step: &'s Ctl, text: &str) -> Option<&'s str> {
    // Columns are as wide as what is in them.
    let plain = text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    step.contains.iter().map(String::as_str).find(|wanted| !plain.contains(wanted))
}

/// What a command has said so far.
struct Collected {
    text: std::sync::Arc<std::sync::Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Collected {
    fn lock(&self) -> std::sync::LockResult<std::sync::MutexGuard<'_, String>> {
        self.text.lock()
    }

    fn finish(mut self) -> String {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        self.text.lock().map(|text| text.clone()).unwrap_or_default()
    }
}

fn collect(stream: Option<impl Read + Send + 'static>) -> Collected {
    let text = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let kept = std::sync::Arc::clone(&text);
    let reader = stream.map(|mut stream| {
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                if let Ok(mut text) = kept.lock() {
                    text.push_str(&String::from_utf8_lossy(&buffer[..count]));
                }
            }
        })
    });
    Collected { text, reader }
}
