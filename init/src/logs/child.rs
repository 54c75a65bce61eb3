//! The child that keeps lines in files and sends them to servers: PID 1 waits for no disk and no network. In: lines, as PID 1 answers
//! a caller who follows all of them, on standard input. Out: files and messages; on standard error, what went wrong.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::{Duration, Instant};

use super::files::{self, Files};
use super::say;
use super::server::Server;
use crate::contract::Logs;
use crate::control::protocol::{Answer, Reply};
use crate::pstore;

/// How often a full disk is told of.
const REMINDER: Duration = Duration::from_secs(60);

/// How long servers may take for the last lines.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Keep and send lines until there are no more.
///
/// # Errors
///
/// The input cannot be read, or a thread cannot be started.
pub fn run(logs: &Logs, input: impl Read) -> io::Result<()> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut kept = logs.files.as_ref().and_then(|settings| Kept::begin(Files::begin(settings)));
    let servers = logs.forward.iter().map(Server::start).collect::<io::Result<Vec<_>>>()?;
    let mut input = BufReader::new(input);
    let mut text = Vec::new();
    while input.read_until(b'\n', &mut text)? > 0 {
        if let Ok(Answer { reply: Reply::Line(line), .. }) = serde_json::from_slice(&text) {
            if let Some(kept) = &mut kept {
                kept.tried(|files| files.write(&line));
            }
            for server in &servers {
                server.send(&line, host.trim());
            }
        }
        text.clear();
        if input.buffer().is_empty()
            && let Some(kept) = &mut kept
        {
            kept.tried(Files::flush);
        }
    }
    if !servers.is_empty() {
        std::thread::sleep(LAST_WORDS);
    }
    Ok(())
}

/// Print the lines of an earlier boot.
///
/// # Errors
///
/// None are kept, or they cannot be read.
pub fn past(logs: &Logs, boot: i64) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let Some(files) = &logs.files else {
        return match fs::read(pstore::FILE).ok().filter(|_| boot == -1) {
            Some(lines) => out.write_all(&lines),
            None => Err(io::Error::other("this host keeps no lines: its manifest has no `logs: {volume: …}`")),
        };
    };
    files::past(files, boot, &mut out)
}

/// Files, and when their last error was told.
struct Kept {
    files: Files,
    told: Option<Instant>,
}

impl Kept {
    fn begin(files: io::Result<Files>) -> Option<Self> {
        match files {
            Ok(files) => Some(Self { files, told: None }),
            Err(cause) => {
                say(&format!("lines are not kept: {cause}"));
                None
            }
        }
    }

    fn tried(&mut self, act: impl FnOnce(&mut Files) -> io::Result<()>) {
        let Err(cause) = act(&mut self.files) else { return };
        if self.told.is_none_or(|told| told.elapsed() >= REMINDER) {
            self.told = Some(Instant::now());
            say(&format!("a line could not be kept: {cause}"));
        }
    }
}
