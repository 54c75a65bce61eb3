//! PID 1's side of the protocol. In: ready descriptors. Out: answers, and what the calls ask for. Here: who is connected, and what they
//! wait for.

mod cgroup;
mod dispatch;
mod follow;
mod hand;
pub mod http;
mod link;
mod metrics;
mod session;
pub(crate) mod socket;
mod state;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

pub use hand::Hand;
pub use state::Told;

use follow::{Events, Reader};
use hand::Waiting;
use link::{Link, Medium};
use session::Session;

use crate::boot::BootError;
use crate::control::SOCKET;
use crate::control::protocol::{Reply, What};
use crate::host::Host;
use crate::sys::{Exit, Sys, Want};

/// Connections at once; one more is closed at once.
const MOST_LINKS: usize = 32;

/// Programs at once.
const MOST_SESSIONS: usize = 32;

/// PID 1's side of the protocol.
#[derive(Debug, Default)]
pub struct Control {
    listener: Option<OwnedFd>,
    /// By number; none is given twice.
    links: BTreeMap<u64, Link>,
    last: u64,
    /// Number of the virtio port's.
    port: Option<u64>,
    /// Number of the child's that is given every line.
    feeds: Option<u64>,
    sessions: Vec<Session>,
    waiting: Vec<Waiting>,
    events: Events,
    /// It was told that the host goes down.
    down: bool,
}

/// What one of the descriptors is.
#[derive(Debug, Clone, Copy)]
pub enum Fd {
    /// Where new connections come from.
    Listener,
    /// A connection: something has come, there is room, or the caller is gone.
    Link(u64),
    /// A program's input or output; its helper's process id.
    Session(u32),
}

impl Control {
    /// Everything to wait for.
    pub fn fds(&self) -> Vec<(BorrowedFd<'_>, Want, Fd)> {
        let mut fds = Vec::new();
        fds.extend(self.listener.as_ref().map(|fd| (fd.as_fd(), Want::Read, Fd::Listener)));
        for (number, link) in &self.links {
            if link.medium == (Medium::Port { open: false }) {
                continue;
            }
            let full = self.sessions.iter().any(|session| session.link == *number && session.is_full());
            let want = if link.silent || full { Want::End } else { Want::Read };
            fds.push((link.fd(), want, Fd::Link(*number)));
            if link.has_output() {
                fds.push((link.fd(), Want::Write, Fd::Link(*number)));
            }
        }
        for session in &self.sessions {
            if session.has_input() {
                fds.extend(session.input.as_ref().map(|fd| (fd.as_fd(), Want::Write, Fd::Session(session.pid))));
            }
            if self.links.get(&session.link).is_some_and(Link::has_room) {
                let output = session.output.iter().flatten();
                fds.extend(output.map(|fd| (fd.as_fd(), Want::Read, Fd::Session(session.pid))));
            }
        }
        fds
    }

    /// Tell everybody who listens what has happened.
    pub fn tell(&mut self, uptime: Duration, what: What) {
        self.events.push(uptime, what);
    }

    /// Give every line to a child of PID 1's own. In: where it reads; `again`, only what is printed from now on.
    pub fn feed(&mut self, input: OwnedFd, again: bool) {
        let number = self.add(input, Medium::Socket);
        if let Some(link) = self.links.get_mut(&number) {
            link.silent = true;
            link.readers.push(Reader::everything(again));
        }
        self.feeds = Some(number);
    }

    /// Let the child that is given every line end once it has them all.
    pub fn finish_feed(&mut self) {
        let link = self.feeds.take().and_then(|number| self.links.get_mut(&number));
        for reader in link.into_iter().flat_map(|link| &mut link.readers) {
            reader.finish();
        }
    }

    /// Take the virtio port into use, if it is there and was not before.
    pub fn find_port(&mut self, sys: &mut impl Sys) {
        if self.port.is_none()
            && let Some(fd) = sys.control_port()
        {
            self.port = Some(self.add(fd, Medium::Port { open: true }));
        }
    }

    /// The virtio port's other end was opened or closed.
    pub fn wake(&mut self) {
        if let Some(link) = self.port.and_then(|port| self.links.get_mut(&port)) {
            link.medium = Medium::Port { open: true };
        }
    }

    /// Take in the end of a process. Out: whether it was a program's.
    pub fn ended(&mut self, pid: u32, exit: Exit) -> bool {
        let session = self.sessions.iter_mut().find(|session| session.pid == pid);
        session.map(|session| session.ended(exit)).is_some()
    }

    fn add(&mut self, fd: OwnedFd, medium: Medium) -> u64 {
        self.last += 1;
        self.links.insert(self.last, Link::new(fd, medium));
        self.last
    }
}

/// Listen inside the host, and outside of it if there is a port. Called again, it looks for what is still missing.
///
/// # Errors
///
/// None: a host that cannot be asked still does its work, and a line says why it cannot.
pub fn open<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    if host.control.listener.is_none() {
        match host.sys.listen(SOCKET) {
            Ok(fd) => host.control.listener = Some(fd),
            Err(cause) => host.say(&format!("`hullctl` will not work: could not listen at `{SOCKET}`: {cause}")),
        }
    }
    host.control.find_port(&mut host.sys);
    Ok(())
}

/// Take what a ready descriptor has.
pub fn ready<S: Sys>(host: &mut Host<S>, fd: Fd) {
    match fd {
        Fd::Listener => accept(host),
        Fd::Link(number) => {
            let Some(link) = host.control.links.get_mut(&number) else { return };
            link.write();
            if link.silent {
                // Nothing more comes: what was waited for is the end of the other direction.
                link.gone |= !link.has_output() && host.sys.is_over(link.fd());
                return;
            }
            let full = host.control.sessions.iter().any(|session| session.link == number && session.is_full());
            let calls = if full { Vec::new() } else { link.read() };
            for call in calls {
                dispatch::call(host, number, call);
            }
        }
        Fd::Session(pid) => {
            let control = &mut host.control;
            let Some(session) = control.sessions.iter_mut().find(|session| session.pid == pid) else { return };
            session.feed();
            if let Some(link) = control.links.get_mut(&session.link).filter(|link| link.has_room()) {
                session.pass_on(link);
            }
        }
    }
}

fn accept<S: Sys>(host: &mut Host<S>) {
    while let Some(fd) = host.control.listener.as_ref().and_then(|fd| host.sys.accept(fd)) {
        if host.control.links.len() < MOST_LINKS {
            host.control.add(fd, Medium::Socket);
        }
    }
}

/// Answer what can be answered now, and forget who is gone.
pub fn pump<S: Sys>(host: &mut Host<S>) {
    let mut control = std::mem::take(&mut host.control);
    state::notice(host, &mut control);
    hand::settle(host, &mut control);
    while answer(host, &mut control) {}
    bury(host, &mut control);
    host.control = control;
}

/// Send what there is to send. Out: whether somebody who was behind has caught up: then there may be more for him, and no descriptor would tell.
fn answer<S: Sys>(host: &Host<S>, control: &mut Control) -> bool {
    finish_sessions(control);
    let Control { links, events, .. } = control;
    let mut caught_up = false;
    for link in links.values_mut() {
        let mut readers = std::mem::take(&mut link.readers);
        readers.retain_mut(|reader| reader.fill(link, host, events));
        link.readers = readers;
        let behind = !link.has_room();
        link.write();
        caught_up |= behind && link.has_room();
    }
    caught_up
}

/// Pass on the last words of programs that have ended, and their exit codes.
fn finish_sessions(control: &mut Control) {
    let Control { sessions, links, .. } = control;
    sessions.retain_mut(|session| {
        let (Some(code), Some(link)) = (session.code(), links.get_mut(&session.link)) else { return true };
        // What it left behind may hold its output open; nobody waits for that.
        while link.has_room() {
            if !session.pass_on(link) {
                link.answer(session.id, Reply::Done { code });
                return false;
            }
        }
        true
    });
}

/// End what was done for callers that are gone.
fn bury<S: Sys>(host: &mut Host<S>, control: &mut Control) {
    let Control { links, sessions, waiting, .. } = control;
    for (number, link) in links.iter_mut() {
        let is_socket = link.medium == Medium::Socket;
        let busy = !link.readers.is_empty()
            || link.has_output()
            || sessions.iter().any(|session| session.link == *number)
            || waiting.iter().any(|call| call.link == *number);
        link.gone |= link.silent && (!busy || !is_socket);
        if link.gone {
            sessions.retain(|session| session.link != *number || end(host, session));
            waiting.retain(|call| call.link != *number);
            if !is_socket {
                link.reset();
            }
        }
    }
    links.retain(|_, link| !link.gone);
}

/// Kill a program nobody listens to. Out: false.
fn end<S: Sys>(host: &mut Host<S>, session: &Session) -> bool {
    if session.code().is_none() {
        // It may have ended a moment ago; its end is on its way then.
        let _ = host.sys.kill_session(session.pid);
    }
    false
}
