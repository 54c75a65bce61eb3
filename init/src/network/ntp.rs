//! The clock: set once there is a server that says the time, and kept after that (SNTP, RFC 4330).
//!
//! In: the servers, which change as leases do. Out: a word for every change that matters. Touches: a datagram socket while an answer is
//! expected, and the clock. Names of servers are looked up anew for every question, as a pool of servers wants it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::sys;
pub use discipline::{Discipline, Verdict};
use message::{Answer, Refusal, SECOND};

mod discipline;
pub mod message;
#[cfg(test)]
mod tests;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// A server: its name or address, and its port.
pub type Server = (String, u16);

/// What became of the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was set by so many nanoseconds, or, if it was not far off, is being moved.
    Set {
        /// Who says so.
        server: String,
        /// By how many nanoseconds.
        by: i64,
        /// It jumped.
        stepped: bool,
    },
    /// A server is of no use; the reason.
    Failed(String, String),
}

/// Keep the clock until `out` is closed.
///
/// In: `servers`, asked in their order; `built`, in seconds since 1970, before which the clock is never set.
pub async fn run(mut servers: watch::Receiver<Vec<Server>>, built: u64, out: UnboundedSender<Change>) {
    let mut discipline = Discipline::default();
    // Servers that do not want to be asked again.
    let mut denied: Vec<Server> = Vec::new();
    let mut turn = 0;
    while !out.is_closed() {
        let known: Vec<Server> =
            servers.borrow_and_update().iter().filter(|one| !denied.contains(one)).cloned().collect();
        let Some(server) = known.get(turn % known.len().max(1)) else {
            denied.clear();
            if servers.changed().await.is_err() {
                return;
            }
            continue;
        };
        let change = match ask(server, built).await {
            Ok((offset, delay)) => steer(&mut discipline, &server.0, offset, delay),
            Err(failure) => {
                if let Failure::Denied(_) = failure {
                    denied.push(server.clone());
                }
                if let Failure::TooOften = failure {
                    discipline.slow_down()
                } else {
                    discipline.fail()
                }
                Change::Failed(server.0.clone(), failure.to_string())
            }
        };
        // One that answers is asked again.
        turn = if matches!(change, Change::Set { .. }) { turn } else { turn.wrapping_add(1) };
        let _ = out.send(change);
        tokio::select! {
            () = tokio::time::sleep(discipline.pause(known.len())) => {}
            changed = servers.changed() => if changed.is_err() { return },
        }
    }
}

/// Do about the clock what an answer calls for.
fn steer(discipline: &mut Discipline, server: &str, offset: i128, delay: i128) -> Change {
    let (by, moved) = match discipline.take(offset, delay) {
        Verdict::Step(by) => (by, sys::move_clock(by, None)),
        // The kernel's constant is that of a loop which is asked every sixteen seconds at 0.
        Verdict::Slew(by, poll) => (by, sys::move_clock(by, Some(poll.saturating_sub(4)))),
        Verdict::Doubt => {
            let seconds = offset / SECOND;
            return Change::Failed(
                server.to_owned(),
                format!("it says that the clock is off by {seconds} s: not believed"),
            );
        }
    };
    match moved {
        Ok(stepped) => Change::Set { server: server.to_owned(), by, stepped },
        Err(cause) => Change::Failed(server.to_owned(), format!("could not set the clock: {cause}")),
    }
}

/// Why a question was of no use.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("its name was not found: {0}")]
    Name(io::Error),
    #[error("{0}")]
    Socket(#[from] io::Error),
    #[error("it does not answer")]
    Silent,
    #[error("it does not want to be asked ({0})")]
    Denied(String),
    #[error("it wants to be asked less often")]
    TooOften,
    #[error("it does not know the time itself")]
    Useless,
    #[error("its clock is before the time at which this host was built")]
    BeforeBuild,
}

/// Ask one server. Out, in nanoseconds: how far the clock is behind, and how long the answer took.
async fn ask(server: &Server, built: u64) -> Result<(i128, i128), Failure> {
    let (host, port) = server;
    let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, *port)],
        Err(_) => lookup_host((host.as_str(), *port)).await.map_err(Failure::Name)?.take(ADDRESSES_MAX).collect(),
    };
    let mut failure = Failure::Silent;
    for address in addresses {
        match exchange(address, built).await {
            Ok(measured) => return Ok(measured),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Send one question, and wait for its answer.
async fn exchange(server: SocketAddr, built: u64) -> Result<(i128, i128), Failure> {
    let own: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A port of its own for every question, and nobody heard but the server.
    let socket = UdpSocket::bind((own, 0)).await?;
    socket.connect(server).await?;
    let cookie = sys::random()?;
    let asked = Instant::now();
    let before = now();
    socket.send(&message::request(cookie)).await?;
    let mut bytes = [0; 512];
    loop {
        let received = timeout_at(asked + PATIENCE, socket.recv(&mut bytes)).await;
        let len = received.map_err(|_| Failure::Silent)??;
        // The clock may be set while the answer is under way.
        let after = before + i128::try_from(asked.elapsed().as_nanos()).unwrap_or(0);
        match message::read(&bytes[..len], cookie, built) {
            Ok(answer) => return Ok(measure(before, after, answer)),
            Err(Refusal::Foreign) => {}
            Err(Refusal::Kiss(code)) if code == *b"RATE" => return Err(Failure::TooOften),
            Err(Refusal::Kiss(code)) => return Err(Failure::Denied(code.escape_ascii().to_string())),
            Err(Refusal::Useless) => return Err(Failure::Useless),
            Err(Refusal::BeforeBuild) => return Err(Failure::BeforeBuild),
        }
    }
}

/// How far the clock is behind, and how long the answer was under way (RFC 5905, 8).
fn measure(before: i128, after: i128, answer: Answer) -> (i128, i128) {
    let offset = ((answer.got - before) + (answer.sent - after)) / 2;
    (offset, (after - before) - (answer.sent - answer.got))
}

/// The clock, in nanoseconds since 1970.
fn now() -> i128 {
    let now = clock_gettime(ClockId::Realtime);
    i128::from(now.tv_sec) * SECOND + i128::from(now.tv_nsec)
}
