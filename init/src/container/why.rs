//! What libcontainer says of a failure while it happens. Its errors often name the step and not the cause ("failed to prepare
//! rootfs"), because the cause is known in a process two forks away; there it is only logged. So those lines go to whoever waits for it.

use std::fmt::{Debug, Write as _};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Longest line that is kept, in bytes.
const LONGEST: usize = 1024;

/// The end at which what is logged is read.
#[derive(Debug)]
pub(super) struct Log(OwnedFd);

impl Log {
    /// Collect from now on, in this process and all that it forks. None if there can be no pipe, or somebody collects already.
    pub(super) fn collect() -> Option<Self> {
        let (read, write) = ends().ok()?;
        tracing::subscriber::set_global_default(Lines(write)).ok()?;
        Some(Self(read))
    }

    /// The first line, which is the one nearest to the cause.
    pub(super) fn first(&self) -> Option<String> {
        let bytes = crate::sys::read_some(&self.0).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned()).filter(|line| !line.is_empty())
    }
}

/// Two ends that are connected. A socket, because writing to a pipe that nobody reads any more would kill a container.
fn ends() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

/// Writes one line for every error that is logged.
struct Lines(OwnedFd);

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let mut text = line.message + &line.rest;
        text = text.replace('\n', " ");
        text.truncate(text.floor_char_boundary(LONGEST));
        // One that is full has the first lines, which are those that count.
        let _ = send(&self.0, text.as_bytes(), SendFlags::NOSIGNAL);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A message, and after it the fields that stand beside it.
#[derive(Default)]
struct Line {
    message: String,
    rest: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing into a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.rest, " ({name}: {value:?})"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_is_kept_and_lesser_news_is_not() {
        let (read, write) = ends().unwrap();
        tracing::subscriber::with_default(Lines(write), || {
            tracing::warn!("hm");
            tracing::error!(path = "/x", "no\nway");
            tracing::error!("and so");
        });
        assert_eq!(Log(read).first().as_deref(), Some("no way (path: \"/x\")"));
    }
}
