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
    /// Name of its driver, if it is a device's.
    pub driver: Option<String>,
    /// Index of the bond or bridge that it is a part of.
    pub master: Option<u32>,
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

/// Position of the rule that made the interface, or else of the first that matches.
///
/// Interfaces that software made, most of them by and for containers, have to be named: other rules mean the machine's network
/// cards, whose hardware address a VLAN has as well. The loopback interface is nobody's.
#[must_use]
pub fn rule_for(rules: &[Interface], link: &Identity) -> Option<usize> {
    if link.loopback {
        return None;
    }
    let mac = link.mac_text();
    let fits = |rule: &Interface| {
        rule.make.is_none()
            && (rule.name.is_some() || !link.made)
            && rule.name.as_ref().is_none_or(|pattern| matches(pattern, &link.name))
            && rule.mac.as_ref().is_none_or(|address| address.eq_ignore_ascii_case(&mac))
            && rule
                .driver
                .as_ref()
                .is_none_or(|pattern| link.driver.as_ref().is_some_and(|name| matches(pattern, name)))
    };
    let own = |rule: &Interface| rule.make.is_some() && rule.id == link.name && link.made;
    rules.iter().position(own).or_else(|| rules.iter().position(fits))
}
