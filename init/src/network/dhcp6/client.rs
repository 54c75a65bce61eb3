//! The client's states (RFC 8415, 18.2), without socket or clock: times and messages go in, messages and leases come out.
//!
//! ```text
//!              advertise         reply            T1             T2
//!  Soliciting ---------> Requesting ----> Bound ----> Renewing ----> Rebinding --end of lease--.
//!     ^ ^ ^----- refusal, silence --'      ^ ^-- reply ---'------- reply ----'                  |
//!     | |                        reply     | '-- silence --.                                    |
//!     | '--------- refusal ------ Confirming --------------'  <-- link came back, lease held    |
//!     '-----------------------------------------------------------------------------------------'
//! ```

use std::time::Duration;

use super::message::{self, Lease, Question, Reply};
use crate::network::dhcp::Random;

/// First pause before a message is sent again, doubled each time: SOL_TIMEOUT, REQ_TIMEOUT and CNF_TIMEOUT of RFC 8415, 7.6.
const PAUSE: Duration = Duration::from_secs(1);
/// REN_TIMEOUT and REB_TIMEOUT.
const EXTEND_PAUSE: Duration = Duration::from_secs(10);
/// Most doublings: two minutes, or REN_MAX_RT. RFC 8415 lets an hour pass between solicitations, which is long for a host that waits.
const DOUBLINGS_MAX: u32 = 7;
const EXTEND_DOUBLINGS_MAX: u32 = 6;
/// How often an offer is taken up (REQ_MAX_RC is 10), or a lease confirmed, before the answer counts as missing.
const ATTEMPTS: u32 = 4;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this to all servers.
    Send(Vec<u8>),
    /// Use this, until it is lost or another comes.
    Bound(Lease),
    /// Stop using what was bound; the reason.
    Lost(&'static str),
}

/// One interface's client.
#[derive(Debug)]
pub struct Client {
    mac: [u8; 6],
    random: Random,
    state: State,
    /// What replies must carry; new for every exchange.
    xid: u32,
    /// When the exchange began.
    began: Duration,
    /// When the last message was sent: a lease runs from there.
    sent: Duration,
    /// When to act again; never, if absent.
    due: Option<Duration>,
    /// Messages sent in this state.
    attempts: u32,
    /// Exchanges that failed since the last lease.
    failures: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Soliciting,
    Requesting(Lease),
    Confirming(Held),
    Bound(Held),
    Renewing(Held),
    Rebinding(Held),
}

/// A lease and when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    lease: Lease,
    since: Duration,
}

impl Held {
    fn after(&self, seconds: u32) -> Duration {
        self.since + Duration::from_secs(seconds.into())
    }

    fn end(&self) -> Option<Duration> {
        self.lease.lifetime.map(|seconds| self.after(seconds))
    }
}

impl Client {
    /// Begin to look for a server.
    ///
    /// In: `seed`, anything; `now`, on the clock that every other call uses.
    #[must_use]
    pub fn new(mac: [u8; 6], seed: u64, now: Duration) -> Self {
        let mut random = Random::new(seed);
        let xid = random.next();
        let (state, due) = (State::Soliciting, Some(now));
        Self { mac, random, state, xid, began: now, sent: now, due, attempts: 0, failures: 0 }
    }

    /// When [`Client::tick`] is to be called; never, if absent.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Do what time demands.
    pub fn tick(&mut self, now: Duration) -> Vec<Output> {
        if self.due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        if self.held().and_then(Held::end).is_some_and(|end| end <= now) {
            return self.lose("it ran out", now);
        }
        match self.state.clone() {
            State::Requesting(_) if self.attempts >= ATTEMPTS => return self.start_over(now),
            // Nobody answers, so nobody objects (RFC 8415, 18.2.3).
            State::Confirming(held) if self.attempts >= ATTEMPTS => {
                self.rest(held);
                return self.tick(now);
            }
            State::Bound(held) => self.enter(State::Renewing(held), now),
            State::Renewing(held) if held.after(held.lease.rebind) <= now => self.enter(State::Rebinding(held), now),
            _ => {}
        }
        vec![self.ask(now)]
    }

    /// Take in the payload of a datagram from anybody.
    pub fn receive(&mut self, payload: &[u8], now: Duration) -> Vec<Output> {
        let Some(reply) = message::decode(payload, self.mac, self.xid) else { return Vec::new() };
        match (self.state.clone(), reply) {
            (State::Soliciting, Reply::Advertise(offer)) if self.attempts > 0 => {
                self.enter(State::Requesting(offer), now);
                vec![self.ask(now)]
            }
            (State::Requesting(offer), Reply::Grant(lease)) if offer.server == lease.server => self.bind(lease),
            (State::Requesting(offer), Reply::Refusal(server)) if offer.server == server => self.start_over(now),
            (State::Renewing(held), Reply::Grant(lease)) if held.lease.server == lease.server => self.bind(lease),
            (State::Rebinding(_), Reply::Grant(lease)) => self.bind(lease),
            (State::Renewing(held), Reply::Refusal(server)) if held.lease.server == server => {
                self.lose("the server took it back", now)
            }
            (State::Confirming(held), Reply::Fine | Reply::Grant(_)) => {
                self.rest(held);
                Vec::new()
            }
            // Any server may say that this is another link.
            (State::Confirming(_), Reply::Refusal(_)) => self.lose("it is of another network", now),
            // One that does not know the lease says nothing about the one that does.
            _ => Vec::new(),
        }
    }

    /// The link came back, maybe to another network: ask whether the lease is still good, or look again at once.
    pub fn link_returned(&mut self, now: Duration) {
        match self.held().cloned() {
            Some(held) => self.enter(State::Confirming(held), now),
            None => self.enter(State::Soliciting, now),
        }
        self.due = Some(now);
    }

    fn held(&self) -> Option<&Held> {
        match &self.state {
            State::Confirming(held) | State::Bound(held) | State::Renewing(held) | State::Rebinding(held) => Some(held),
            State::Soliciting | State::Requesting(_) => None,
        }
    }

    /// Change the state and begin a new exchange.
    fn enter(&mut self, state: State, now: Duration) {
        (self.state, self.xid, self.began, self.attempts) = (state, self.random.next(), now, 0);
    }

    /// Say what the state has to say, and note when to say it again.
    fn ask(&mut self, now: Duration) -> Output {
        let question = match &self.state {
            State::Soliciting => Question::Solicit,
            State::Requesting(offer) => Question::Request(offer),
            State::Confirming(held) => Question::Confirm(&held.lease),
            State::Bound(held) | State::Renewing(held) => Question::Renew(&held.lease),
            State::Rebinding(held) => Question::Rebind(&held.lease),
        };
        let elapsed = u16::try_from(now.saturating_sub(self.began).as_millis() / 10).unwrap_or(u16::MAX);
        let bytes = message::encode(self.mac, self.xid, elapsed, question);
        let limit = match &self.state {
            State::Renewing(held) => Some(held.after(held.lease.rebind)),
            State::Rebinding(held) | State::Confirming(held) => held.end(),
            _ => None,
        };
        let again = now + self.pause();
        self.due = Some(limit.map_or(again, |limit| again.min(limit.max(now))));
        self.sent = now;
        self.attempts = self.attempts.saturating_add(1);
        Output::Send(bytes)
    }

    /// How long to wait before the same is said again, give or take an eighth: hosts that start together shall not ask together.
    fn pause(&mut self) -> Duration {
        let (first, most) = match self.state {
            State::Renewing(_) | State::Rebinding(_) => (EXTEND_PAUSE, EXTEND_DOUBLINGS_MAX),
            _ => (PAUSE, DOUBLINGS_MAX),
        };
        let pause = first * (1 << self.attempts.min(most));
        pause - pause / 8 + pause / 4 * (self.random.next() >> 16) / (1 << 16)
    }

    fn bind(&mut self, lease: Lease) -> Vec<Output> {
        self.failures = 0;
        self.rest(Held { lease: lease.clone(), since: self.sent });
        vec![Output::Bound(lease)]
    }

    /// Wait for the time to renew.
    fn rest(&mut self, held: Held) {
        self.due = held.lease.lifetime.map(|_| held.after(held.lease.renew));
        self.state = State::Bound(held);
    }

    fn lose(&mut self, reason: &'static str, now: Duration) -> Vec<Output> {
        let mut outputs = vec![Output::Lost(reason)];
        outputs.extend(self.start_over(now));
        outputs
    }

    /// Look for a server again: at once the first time, later and later if that keeps failing.
    fn start_over(&mut self, now: Duration) -> Vec<Output> {
        self.enter(State::Soliciting, now);
        let wait = if self.failures == 0 { Duration::ZERO } else { PAUSE * (1 << self.failures.min(DOUBLINGS_MAX)) };
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now + wait);
        self.tick(now)
    }
}
