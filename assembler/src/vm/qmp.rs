//! QEMU's control socket: one JSON object per line, either way.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::VmError;

/// Longest message QEMU may send, in bytes.
const LONGEST: u64 = 1 << 20;

/// How long QEMU may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Word that stands for QEMU's greeting where a command would be named.
const GREETING: &str = "greeting";

/// The asking half of the control socket; events go to the function that [`Qmp::connect`] was given.
#[derive(Debug)]
pub(super) struct Qmp(Mutex<Half>);

#[derive(Debug)]
struct Half {
    socket: UnixStream,
    replies: Receiver<Map<String, Value>>,
}

impl Qmp {
    /// Take the socket over and start reading it.
    ///
    /// In: `event`, called with each event's name and data, on a thread of its own; `ended`, called once when QEMU
    /// closes the socket, after the last event.
    pub(super) fn connect(
        socket: UnixStream,
        event: impl FnMut(&str, &Value) + Send + 'static,
        ended: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, replies) = mpsc::channel();
        let reader = BufReader::new(socket.try_clone()?);
        thread::Builder::new().name("qmp".to_owned()).spawn(move || {
            read_all(reader, &sender, event);
            drop(sender);
            ended();
        })?;
        Ok(Self(Mutex::new(Half { socket, replies })))
    }

    /// Wait for QEMU's greeting and agree on plain commands.
    ///
    /// # Errors
    ///
    /// As [`Qmp::ask`].
    ///
    /// # Source
    ///
    /// QEMU, `docs/interop/qmp-spec.txt`, section 4, capabilities negotiation.
    pub(super) fn greet(&self) -> Result<(), VmError> {
        self.half().reply(GREETING)?;
        self.ask("qmp_capabilities", Value::Null).map(drop)
    }

    /// Send a command and wait for its answer.
    ///
    /// # Errors
    ///
    /// [`VmError::Control`]: the socket is closed; [`VmError::Silent`]: no answer came; [`VmError::Command`]: QEMU
    /// would not.
    pub(super) fn ask(&self, command: &'static str, arguments: Value) -> Result<Value, VmError> {
        let mut message = json!({ "execute": command });
        if !arguments.is_null() {
            message["arguments"] = arguments;
        }
        let mut half = self.half();
        writeln!(half.socket, "{message}").map_err(|cause| VmError::Control { cause })?;
        let mut reply = half.reply(command)?;
        match reply.remove("error") {
            None => Ok(reply.remove("return").unwrap_or_default()),
            Some(error) => {
                let message = error.get("desc").and_then(Value::as_str).unwrap_or("no reason given").to_owned();
                Err(VmError::Command { command, message })
            }
        }
    }

    fn half(&self) -> std::sync::MutexGuard<'_, Half> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Half {
    fn reply(&self, command: &'static str) -> Result<Map<String, Value>, VmError> {
        self.replies.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Timeout => VmError::Silent { command, within: PATIENCE },
            RecvTimeoutError::Disconnected => VmError::Control { cause: io::ErrorKind::BrokenPipe.into() },
        })
    }
}

/// Read messages until the socket closes or something else than QMP arrives.
fn read_all(mut reader: impl BufRead, replies: &Sender<Map<String, Value>>, mut event: impl FnMut(&str, &Value)) {
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(1..) if line.ends_with(b"\n") => {}
            _ => return,
        }
        let Ok(Value::Object(message)) = serde_json::from_slice(&line) else { return };
        if let Some(name) = message.get("event").and_then(Value::as_str) {
            event(name, message.get("data").unwrap_or(&Value::Null));
        } else if replies.send(message).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Event = (String, Value);

    /// Connect to a QEMU that says `words` after it was asked `questions` times.
    fn connect(words: &'static str, questions: usize) -> (Qmp, Receiver<Event>) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let (sender, events) = mpsc::channel();
        thread::spawn(move || {
            let mut asked = BufReader::new(theirs.try_clone().expect("a clone")).lines();
            for _ in 0..questions {
                asked.next();
            }
            theirs.write_all(words.as_bytes()).expect("a reader");
        });
        let event = move |name: &str, data: &Value| sender.send((name.to_owned(), data.clone())).expect("a test");
        (Qmp::connect(ours, event, || {}).expect("a thread"), events)
    }

    #[test]
    fn events_between_question_and_answer_are_kept_apart() {
        let words = "{\"event\":\"RESUME\"}\n{\"return\":{\"a\":1}}\n{\"event\":\"SHUTDOWN\",\"data\":{\"reason\":\"guest-reset\"}}\n";
        let (qmp, events) = connect(words, 1);
        assert_eq!(qmp.ask("cont", Value::Null).expect("an answer"), json!({ "a": 1 }));
        assert_eq!(events.recv().expect("first").0, "RESUME");
        assert_eq!(events.recv().expect("second"), ("SHUTDOWN".to_owned(), json!({ "reason": "guest-reset" })));
    }

    #[test]
    fn a_refused_command_says_why() {
        let (qmp, _events) = connect("{\"error\":{\"class\":\"GenericError\",\"desc\":\"not now\"}}\n", 1);
        let error = qmp.ask("cont", Value::Null).expect_err("refused");
        assert_eq!(error.to_string(), "QEMU refused `cont`: not now");
    }

    #[test]
    fn a_socket_that_says_nonsense_is_closed() {
        for words in ["", "HTTP/1.1 200 OK\n", "[]\n", "{\"return\":{}}"] {
            let (qmp, _events) = connect(words, 1);
            let error = qmp.ask("cont", Value::Null).expect_err(words);
            assert!(matches!(error, VmError::Control { .. }), "{words}: {error}");
        }
    }

    #[test]
    fn an_endless_message_is_not_kept() {
        let endless = io::repeat(b'x').take(1 << 30);
        let (sender, _replies) = mpsc::channel();
        let mut read = BufReader::new(endless);
        read_all(&mut read, &sender, |_, _| {});
        assert!(read.into_inner().limit() > (1 << 29));
    }
}
