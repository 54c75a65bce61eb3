//! Who is asked, when, and how often.

use std::time::{Duration, Instant};

use hullkit_init::chain::chain;
use linuxkit_yaml::Provider;

use crate::answer::Answer;
use crate::error::Refusal;
use crate::machine::Machine;
use crate::order::Order;
use crate::provider;

/// When this program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the network is set up: only the machine itself is asked.
    Before,
    /// With the network.
    After,
}

/// Time between the first two rounds of questions; it doubles.
const PAUSE: Duration = Duration::from_millis(250);

/// Longest time between two rounds.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Somebody who is asked.
struct Candidate {
    provider: Provider,
    /// He is known to be there, or the manifest says so.
    is_expected: bool,
    refusal: Option<Refusal>,
}

/// Ask until somebody answers, or those who are expected to have had their time.
///
/// A provider is expected if the manifest names it, or if it needs a network and the machine shows that it is there. If only the
/// machine itself can answer, it has its time before the network: the network may be part of the answer.
pub fn ask(order: &Order, moment: Moment, machine: &Machine, say: &mut dyn FnMut(&str)) -> Option<Answer> {
    let deadline = Instant::now() + order.timeout;
    let named = !order.providers.is_empty();
    let providers = if named { order.providers.clone() } else { shown(machine) };
    let remote = |provider: &Provider| provider::is_remote(provider, machine);
    let alone = !providers.iter().any(remote);
    let asked = providers.into_iter().filter(|provider| moment == Moment::After || !remote(provider));
    let waits = named && alone == (moment == Moment::Before) || !named && moment == Moment::After;
    let mut candidates: Vec<Candidate> = asked
        .map(|provider| Candidate { is_expected: waits && (named || remote(&provider)), provider, refusal: None })
        .collect();
    let mut pause = PAUSE;
    let mut first = true;
    loop {
        for candidate in candidates.iter_mut().filter(|candidate| first || candidate.hopes()) {
            match provider::ask(&candidate.provider, machine, deadline) {
                Ok(answer) => return Some(answer),
                Err(refusal) => candidate.refusal = Some(refusal),
            }
        }
        first = false;
        if !candidates.iter().any(Candidate::hopes) || Instant::now() + pause >= deadline {
            break;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    // Before the network it is not over yet.
    if moment == Moment::After {
        for candidate in &candidates {
            if let Some(refusal) = &candidate.refusal {
                say(&format!("{}: {}", candidate.provider, chain(refusal)));
            }
        }
    }
    None
}

impl Candidate {
    /// Tell whether it is worth asking again.
    fn hopes(&self) -> bool {
        self.is_expected && self.refusal.as_ref().is_none_or(Refusal::may_pass)
    }
}

/// Who may know something of this machine if the manifest names nobody.
fn shown(machine: &Machine) -> Vec<Provider> {
    let local = [Provider::Nocloud, Provider::Configdrive, Provider::FwCfg];
    local.into_iter().chain(machine.clouds()).collect()
}
