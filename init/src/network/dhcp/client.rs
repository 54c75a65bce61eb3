//! The client's states (RFC 2131, 4.4), without socket or clock: times and messages go in, messages and leases come out.
//!
//! ```text
//!              offer             ack            T1             T2
//!  Selecting --------> Requesting ----> Bound ----> Renewing ----> Rebinding --end of lease--.
//!     ^ ^ ^------- nak, silence --'      ^ ^--- ack ---'-------- ack ---'                    |
//!     | |                        ack     | '-- silence --.                                   |
//!     | '----------- nak ---- Confirming-'---------------'  <-- link came back, lease held   |
//!     '--------------------------------------------------------------------------------------'
//! ```

use std::net::Ipv4Addr;
use std::time::Duration;

use super::message::{self, Lease, Question, Reply};

/// First pause before a message is sent again; doubled each time up to 64 s.
const PAUSE: Duration = Duration::from_secs(1);
const DOUBLINGS_MAX: u32 = 6;
/// Shortest pause between attempts to extend a lease. RFC 2131 has a minute, which is longer than some leases last.
const EXTEND_PAUSE: Duration = Duration::from_secs(10);
/// How often an offer is taken up, or a lease confirmed, before the answer counts as missing.
const ATTEMPTS: u32 = 4;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this to every station on the link, from this address.
    Broadcast(Ipv4Addr, Vec<u8>),
    /// Send this from the first address to the second.
    Unicast(Ipv4Addr, Ipv4Addr, Vec<u8>),
    /// Use this, until it is lost or another comes.
    Bound(Lease),
    /// Stop using what was bound; the reason.
    Lost(&'static str),
}

/// One interface's client.
#[derive(Debug)]
pub struct Client {
    mac: [u8; 6],
    host: Option<String>,
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
    Selecting,
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
    pub fn new(mac: [u8; 6], host: Option<String>, seed: u64, now: Duration) -> Self {
        let mut random = Random::new(seed);
        let xid = random.next();
        let (state, due) = (State::Selecting, Some(now));
        Self { mac, host, random, state, xid, began: now, sent: now, due, attempts: 0, failures: 0 }
    }

    /// When [`Client::tick`] is to be called; never, if absent.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Tell whether replies are expected.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        !matches!(self.state, State::Bound(_))
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
            State::Selecting => {}
            State::Requesting(_) if self.attempts >= ATTEMPTS => return self.start_over(now),
            State::Requesting(_) => {}
            // Nobody answers, so nobody objects: the lease is good for the rest of its time (RFC 2131, 3.2).
            State::Confirming(held) if self.attempts >= ATTEMPTS => {
                self.rest(held);
                return self.tick(now);
            }
            State::Confirming(_) => {}
            State::Bound(held) => self.enter(State::Renewing(held), now),
            State::Renewing(held) if held.after(held.lease.rebind) <= now => self.enter(State::Rebinding(held), now),
            State::Renewing(_) | State::Rebinding(_) => {}
        }
        vec![self.ask(now)]
    }

    /// Take in the payload of a datagram from anybody.
    pub fn receive(&mut self, payload: &[u8], now: Duration) -> Vec<Output> {
        let Some(reply) = message::decode(payload, self.mac, self.xid) else { return Vec::new() };
        match (self.state.clone(), reply) {
            (State::Selecting, Reply::Offer(offer)) if self.attempts > 0 => {
                self.state = State::Requesting(offer);
                self.attempts = 0;
                vec![self.ask(now)]
            }
            (State::Requesting(offer), Reply::Ack(lease)) if same(&offer, &lease) => self.bind(lease),
            (State::Requesting(offer), Reply::Nak(server)) if server.is_none_or(|server| server == offer.server) => {
                self.start_over(now)
            }
            (State::Confirming(held) | State::Renewing(held) | State::Rebinding(held), Reply::Ack(lease))
                if held.lease.address == lease.address =>
            {
                self.bind(lease)
            }
            (State::Renewing(held), Reply::Nak(Some(server))) if server != held.lease.server => Vec::new(),
            (State::Confirming(_) | State::Renewing(_) | State::Rebinding(_), Reply::Nak(_)) => {
                self.lose("the server took it back", now)
            }
            _ => Vec::new(),
        }
    }

    /// The link came back, maybe to another network: ask whether the lease is still good, or look again at once.
    pub fn link_returned(&mut self, now: Duration) {
        match self.held().cloned() {
            Some(held) => self.enter(State::Confirming(held), now),
            None => self.enter(State::Selecting, now),
        }
        self.due = Some(now);
    }

    fn held(&self) -> Option<&Held> {
        match &self.state {
            State::Confirming(held) | State::Bound(held) | State::Renewing(held) | State::Rebinding(held) => Some(held),
            State::Selecting | State::Requesting(_) => None,
        }
    }

    /// Change the state and begin a new exchange.
    fn enter(&mut self, state: State, now: Duration) {
        (self.state, self.xid, self.began, self.attempts) = (state, self.random.next(), now, 0);
    }

    /// Say what the state has to say, and note when to say it again.
    fn ask(&mut self, now: Duration) -> Output {
        let (question, from) = match &self.state {
            State::Selecting => (Question::Discover, Ipv4Addr::UNSPECIFIED),
            State::Requesting(offer) => (Question::Select(offer.server, offer.address), Ipv4Addr::UNSPECIFIED),
            State::Confirming(held) => (Question::Confirm(held.lease.address), Ipv4Addr::UNSPECIFIED),
            State::Bound(held) | State::Renewing(held) | State::Rebinding(held) => {
                (Question::Extend(held.lease.address), held.lease.address)
            }
        };
        let secs = u16::try_from(now.saturating_sub(self.began).as_secs()).unwrap_or(u16::MAX);
        let bytes = message::encode(self.mac, self.xid, secs, self.host.as_deref(), question);
        self.due = Some(self.again(now));
        self.sent = now;
        self.attempts = self.attempts.saturating_add(1);
        match &self.state {
            State::Renewing(held) => Output::Unicast(from, held.lease.server, bytes),
            _ => Output::Broadcast(from, bytes),
        }
    }

    /// When to repeat what is sent now.
    fn again(&mut self, now: Duration) -> Duration {
        let limit = match &self.state {
            State::Renewing(held) => Some(held.after(held.lease.rebind)),
            State::Rebinding(held) => held.end(),
            _ => return now + self.pause(self.attempts.max(self.failures)),
        };
        // Half of the time that is left (RFC 2131, 4.4.5).
        let Some(limit) = limit else { return now + Duration::from_secs(3600) };
        let left = limit.saturating_sub(now);
        now + (left / 2).max(EXTEND_PAUSE).min(left)
    }

    /// A second, doubled as often as said, give or take an eighth: hosts that start together shall not ask together.
    fn pause(&mut self, doublings: u32) -> Duration {
        let pause = PAUSE * (1 << doublings.min(DOUBLINGS_MAX));
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
        self.enter(State::Selecting, now);
        let wait = if self.failures == 0 { Duration::ZERO } else { self.pause(self.failures) };
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now + wait);
        self.tick(now)
    }
}

/// Tell whether a grant is what was offered.
fn same(offer: &Lease, lease: &Lease) -> bool {
    (offer.address, offer.server) == (lease.address, lease.server)
}

/// Numbers that differ between hosts and exchanges, and need no secrecy (xorshift, Marsaglia 2003). The kernel's generator
/// would block a guest without a source of entropy for as long as a minute.
#[derive(Debug)]
pub(in crate::network) struct Random(u64);

impl Random {
    pub(in crate::network) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(in crate::network) fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }
}
