//! What a host needs to have its root fetched from a web server: the program that does it, and a network.

use hullkit_init::contract::{self, Contract, Interface};

use super::segment::{Key, Segment, relative, segment};
use super::{RootfsError, path};
use crate::digest::Digest;
use crate::format::cpio::layout;
use crate::format::cpio::write::Attributes;
use crate::store::Store;

/// Find or pack the program that fetches a root.
pub(crate) fn fetcher(store: &Store, program: &[u8]) -> Result<Segment, RootfsError> {
    let key = Key::new("fetch", [("fetch", Digest::of(program).to_string())]);
    segment(store, "fetch", &key, |packer| {
        let path = relative(contract::FETCH).as_bytes();
        packer.append(path::split(path).0, Attributes::directory(0), &[])?;
        packer.append(path, Attributes { mode: layout::REGULAR | 0o755, ..Attributes::default() }, program)
    })
}

/// Ask for an address on every wired card if the manifest says nothing of networks.
pub(crate) fn bring_up(contract: &mut Contract) {
    if contract.network.is_empty() {
        let name = Some("e*".to_owned());
        contract.network.push(Interface { id: "netboot".to_owned(), name, dhcp: true, ..Interface::default() });
    }
}
