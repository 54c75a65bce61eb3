//! Which rule of the manifest an interface falls under.

use crate::contract::Interface;
use crate::modalias::matches;

/// What is known of an interface, as far as rules look at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The kernel's name for it.
    pub name: String,
    /// Hardware address; empty if it has none.
    pub mac: Vec<u8>,
    /// It leads to this machine itself.
    pub loopback: bool,
    /// It is made by software: a bridge, one end of a pair, a tunnel.
    pub made: bool,
}

impl Identity {
    /// The hardware address in lower case with colons, as rules have it.
    #[must_use]
    pub fn mac_text(&self) -> String {
        let bytes: Vec<String> = self.mac.iter().map(|byte| format!("{byte:02x}")).collect();
        bytes.join(":")
    }
}

/// Position of the first rule that matches.
///
/// A rule without a name and an address means the machine's network cards: interfaces that software made, most of them by
/// and for containers, have to be named. The loopback interface is nobody's.
#[must_use]
pub fn rule_for(rules: &[Interface], link: &Identity) -> Option<usize> {
    let mac = link.mac_text();
    let fits = |rule: &Interface| match (&rule.name, &rule.mac) {
        (None, None) => !link.made,
        (name, address) => {
            name.as_ref().is_none_or(|pattern| matches(pattern, &link.name))
                && address.as_ref().is_none_or(|address| address.eq_ignore_ascii_case(&mac))
        }
    };
    if link.loopback { None } else { rules.iter().position(fits) }
}
