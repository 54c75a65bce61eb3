//! What a host's init says over its virtio port: events as they come, and answers to calls. One thread reads; whoever waits is woken.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hullkit_init::control::LONGEST;
use hullkit_init::control::protocol::{Answer, Call, Event, How, Reply, Request, Service, VERSION, What, to_line};

/// Events that are kept, the first ones.
const KEPT: usize = 8192;

/// Bytes of answers to one call.
const MOST: usize = 4 << 20;

/// Number of the call that asks who is there, and of that for events.
const HELLO: u64 = 1;
const EVENTS: u64 = 2;

/// The way to a host's init. The machine's end of it is QEMU's: what is said before init listens waits there.
#[derive(Debug)]
pub(super) struct Guest {
    stream: Mutex<UnixStream>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    said: Mutex<Said>,
    more: Condvar,
}

/// What init has said.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Version of its protocol, once it has answered at all.
    pub(super) version: Option<u32>,
    /// When it did so first.
    pub(super) answered: Option<Instant>,
    /// What has happened, in order.
    pub(super) events: Vec<Event>,
    /// The other end is gone.
    closed: bool,
    last: u64,
    pending: BTreeMap<u64, Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    replies: Vec<Reply>,
    size: usize,
    over: Option<Result<i32, String>>,
}

/// What came of a call.
#[derive(Debug)]
pub(super) struct Answers {
    /// Everything but its end.
    pub(super) replies: Vec<Reply>,
    /// A program's exit code; else 0.
    pub(super) code: i32,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// Init would not.
    #[error("{0}")]
    Refused(String),
    /// Nothing came in time.
    #[error("init did not answer in time")]
    Late,
    /// The machine is gone.
    #[error("the machine is gone")]
    Gone,
}

impl Said {
    /// Tell when the boot was over, as time since the kernel's start.
    pub(super) fn ready(&self) -> Option<Duration> {
        let ready = self.events.iter().find(|event| event.what == What::Ready);
        ready.map(|event| Duration::from_millis(event.uptime))
    }

    /// Give what the failure screen says, if the boot failed.
    pub(super) fn failure(&self) -> Option<&serde_json::Value> {
        self.events.iter().find_map(|event| match &event.what {
            What::Failed { report } => Some(report),
            _ => None,
        })
    }
}

impl Guest {
    /// Ask who is there, and for everything that happens.
    pub(super) fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        let shared =
            Arc::new(Shared { said: Mutex::new(Said { last: EVENTS, ..Said::default() }), more: Condvar::new() });
        let (reader, owner) = (stream.try_clone()?, Arc::clone(&shared));
        thread::Builder::new().name("guest".to_owned()).spawn(move || owner.read(reader))?;
        let guest = Self { stream: Mutex::new(stream), shared };
        guest.send(HELLO, Request::Hello)?;
        guest.send(EVENTS, Request::Events)?;
        Ok(guest)
    }

    /// Say no more and hear no more; what was said stays. The reader ends with it.
    pub(super) fn hang_up(&self) {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }

    /// Look at what was said.
    pub(super) fn said(&self) -> MutexGuard<'_, Said> {
        self.shared.lock()
    }

    /// Wait until something new was said, or a moment has passed.
    pub(super) fn wait(&self, moment: Duration) {
        let said = self.shared.lock();
        drop(self.shared.more.wait_timeout(said, moment).unwrap_or_else(PoisonError::into_inner));
    }

    /// Call, and wait for all of the answer.
    pub(super) fn call(&self, request: Request, deadline: Instant) -> Result<Answers, Unanswered> {
        let id = {
            let mut said = self.shared.lock();
            said.last += 1;
            let id = said.last;
            said.pending.insert(id, Pending::default());
            id
        };
        let result = match self.send(id, request) {
            Ok(()) => self.answers(id, deadline),
            Err(_) => Err(Unanswered::Gone),
        };
        self.shared.lock().pending.remove(&id);
        if matches!(result, Err(Unanswered::Late)) {
            // Nobody listens any more; a program it started is killed.
            let _ = self.send(id, Request::Cancel);
        }
        result
    }

    /// List every container.
    pub(super) fn services(&self, deadline: Instant) -> Result<Vec<Service>, Unanswered> {
        let replies = self.call(Request::Ps, deadline)?.replies.into_iter();
        let services = replies.filter_map(|reply| match reply {
            Reply::Service(service) => Some(service),
            _ => None,
        });
        Ok(services.collect())
    }

    /// Tell the host to go down; it need not answer.
    pub(super) fn power(&self, how: How) {
        let id = {
            let mut said = self.shared.lock();
            said.last += 1;
            said.last
        };
        let _ = self.send(id, Request::Power { how });
    }

    fn send(&self, id: u64, request: Request) -> io::Result<()> {
        // In front of the first line, the end of one that nobody finished.
        let mut line = if id == HELLO { vec![b'\n'] } else { Vec::new() };
        line.extend(to_line(&Call { id, request }));
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
    }

    fn answers(&self, id: u64, deadline: Instant) -> Result<Answers, Unanswered> {
        let mut said = self.shared.lock();
        loop {
            let Some(pending) = said.pending.get_mut(&id) else { return Err(Unanswered::Gone) };
            match pending.over.take() {
                Some(Ok(code)) => return Ok(Answers { replies: std::mem::take(&mut pending.replies), code }),
                Some(Err(message)) => return Err(Unanswered::Refused(message)),
                None if said.closed => return Err(Unanswered::Gone),
                None => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Unanswered::Late);
            }
            said = self.shared.more.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.hang_up();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, stream: UnixStream) {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        let most = u64::try_from(LONGEST).unwrap_or(u64::MAX);
        loop {
            line.clear();
            match reader.by_ref().take(most).read_until(b'\n', &mut line) {
                Ok(1..) => {}
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                _ => break,
            }
            // What is no answer of ours is none of our business: the end of a line that was cut, or noise.
            if let Ok(answer) = serde_json::from_slice::<Answer>(&line) {
                self.lock().take(answer, line.len());
                self.more.notify_all();
            }
        }
        self.lock().closed = true;
        self.more.notify_all();
    }
}

impl Said {
    fn take(&mut self, answer: Answer, size: usize) {
        match (answer.id, answer.reply) {
            (HELLO, Reply::Hello { version, .. }) => {
                self.version = Some(version);
                self.answered.get_or_insert_with(Instant::now);
            }
            (EVENTS, Reply::Event(event)) if self.events.len() < KEPT => self.events.push(event),
            (HELLO | EVENTS, _) => {}
            (id, reply) => {
                let Some(pending) = self.pending.get_mut(&id) else { return };
                pending.size += size;
                match reply {
                    Reply::Done { code } => pending.over = Some(Ok(code)),
                    Reply::Error { message } => pending.over = Some(Err(message)),
                    _ if pending.size > MOST => {
                        pending.over = Some(Err(format!("the answer has more than {MOST} bytes")))
                    }
                    reply => pending.replies.push(reply),
                }
            }
        }
    }

    /// Tell whether init speaks another version than this program.
    pub(super) fn foreign(&self) -> Option<u32> {
        self.version.filter(|version| *version != VERSION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: u64, reply: Reply) -> Answer {
        Answer { id, reply }
    }

    #[test]
    fn answers_go_to_who_asked() {
        let mut said = Said::default();
        said.pending.insert(7, Pending::default());
        let text = Reply::Text { text: "x".into() };
        for id in [3, 7] {
            said.take(answer(id, text.clone()), 10);
            said.take(answer(id, Reply::Done { code: 4 }), 10);
        }
        let pending = &said.pending[&7];
        assert_eq!((pending.replies.as_slice(), pending.over.as_ref()), ([text].as_slice(), Some(&Ok(4))));
    }

    #[test]
    fn no_answer_is_kept_without_bound() {
        let mut said = Said::default();
        said.pending.insert(7, Pending::default());
        for _ in 0..=MOST / LONGEST {
            said.take(answer(7, Reply::Text { text: String::new() }), LONGEST);
        }
        assert!(matches!(said.pending[&7].over, Some(Err(_))));
        let event = Event { uptime: 5, what: What::Ready };
        for _ in 0..KEPT + 9 {
            said.take(answer(EVENTS, Reply::Event(event.clone())), 10);
        }
        assert_eq!((said.events.len(), said.ready()), (KEPT, Some(Duration::from_millis(5))));
    }

    #[test]
    fn calls_are_answered_late_or_never() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("init.sock");
        let listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        let guest = Guest::connect(&socket).expect("a connection");
        let init = thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a caller");
            let (mut out, mut cancelled) = (stream.try_clone().expect("a clone"), 0);
            for line in BufReader::new(stream).lines().map_while(Result::ok).filter(|line| !line.is_empty()) {
                let call: Call = serde_json::from_str(&line).expect("a call");
                let replies = match call.request {
                    Request::Hello => {
                        vec![Reply::Hello { version: VERSION, init: "0".into() }, Reply::Done { code: 0 }]
                    }
                    Request::Ps => vec![Reply::Service(Service::default()), Reply::Done { code: 0 }],
                    Request::Metrics => vec![Reply::Error { message: "no figures".into() }],
                    Request::Power { .. } => break,
                    request => {
                        cancelled += u32::from(request == Request::Cancel);
                        Vec::new()
                    }
                };
                out.write_all(b"noise\n").expect("a reader");
                for reply in replies {
                    out.write_all(&to_line(&answer(call.id, reply))).expect("a reader");
                }
            }
            cancelled
        });
        let soon = || Instant::now() + Duration::from_secs(20);
        assert_eq!(guest.services(soon()).expect("a list").len(), 1);
        assert!(guest.said().version == Some(VERSION) && guest.said().foreign().is_none());
        let refused = guest.call(Request::Metrics, soon()).expect_err("a refusal");
        assert_eq!(refused.to_string(), "no figures");
        let late = guest.call(Request::Boot, Instant::now() + Duration::from_millis(50)).expect_err("no answer");
        assert!(matches!(late, Unanswered::Late));
        guest.power(How::Off);
        assert_eq!(init.join().expect("init"), 1);
        assert!(matches!(guest.call(Request::Boot, soon()), Err(Unanswered::Gone)));
    }
}
