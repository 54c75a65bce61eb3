//! What a host needs to have its root fetched from a web server, besides the program that does it: a network.

use hullkit_init::contract::{Contract, Interface};

/// Ask for an address on every wired card if the manifest says nothing of networks.
pub(crate) fn bring_up(contract: &mut Contract) {
    if contract.network.is_empty() {
        let name = Some("e*".to_owned());
        contract.network.push(Interface { id: "netboot".to_owned(), name, dhcp: true, ..Interface::default() });
    }
}
