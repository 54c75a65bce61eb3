//! Interfaces as their rules want them: made, put into one another, given what they are to have, switched on.

use std::io::Write;

use super::event::{Event, tell};
use super::{Network, kernel, settings, wireguard};
use crate::contract;

impl<W: Write> Network<'_, W> {
    /// Make the links that rules ask for, as soon as what they stand on is there, and put interfaces into those they are part of.
    pub(super) async fn build(&mut self) {
        for (position, below) in self.state.unmade(self.rules) {
            let rule = &self.rules[position];
            let Some(link) = &rule.make else { continue };
            if let Err(cause) = kernel::make(&self.handle, &rule.id, link, below).await {
                let error = format!("could not make this {}: {cause}", link.kind());
                if self.failed.get(&position) != Some(&error) {
                    tell(&mut self.report, &Event::Error { interface: &rule.id, error: &error });
                    self.failed.insert(position, error);
                }
                continue;
            }
            self.failed.remove(&position);
            // It was there already, and is what it should be only now.
            if let Some(index) = self.state.index_of(position) {
                self.set_up(index).await;
            }
        }
        for (index, master) in self.state.apart(self.rules) {
            if let Err(cause) = kernel::join(&self.handle, index, master).await {
                let whole = self.state.links.get(&master).map_or("", |link| &*link.identity.name).to_owned();
                self.tell_error(index, &format!("could not make it a part of `{whole}`: {cause}"));
            }
        }
    }

    /// Do again what could not be done: a key comes with a container, and the module for a link with the root, both after the network.
    pub(super) async fn try_again(&mut self) {
        for index in self.keyless.clone() {
            self.open_tunnels(index).await;
        }
        self.failed.keys().for_each(|rule| self.state.ask_again(*rule));
    }

    /// Give an interface what its rule says, and switch it on.
    pub(super) async fn set_up(&mut self, index: u32) {
        let Some(link) = self.state.links.get(&index) else { return };
        // Before it is up: a router may answer at once.
        kernel::set_accept_ra(&link.identity.name, self.rules[link.rule].accept_ra);
        let rule = &self.rules[link.rule];
        if let Some(mtu) = rule.mtu {
            self.step(index, settings::Change::Mtu(mtu)).await;
        }
        if let Some(contract::Link::Wireguard { .. }) = rule.make {
            return self.open_tunnels(index).await;
        }
        // A part is switched on once it is in its place.
        if rule.master.is_some() {
            return;
        }
        self.switch_on(index).await;
    }

    pub(super) async fn switch_on(&mut self, index: u32) {
        if let Err(cause) = kernel::up(&self.handle, index).await {
            self.tell_error(index, &format!("could not switch it on: {cause}"));
        }
        self.settle(index).await;
    }

    /// Give an end of tunnels its key and its peers and switch it on, or try again later if there is no key yet.
    pub(super) async fn open_tunnels(&mut self, index: u32) {
        let Some(link) = self.state.links.get(&index) else { return };
        let Some(contract::Link::Wireguard { private_key_file, listen_port, peers }) = &self.rules[link.rule].make
        else {
            return;
        };
        match wireguard::set_up(index, private_key_file.as_deref(), *listen_port, peers) {
            Ok(key) => {
                let interface = &link.identity.name;
                tell(&mut self.report, &Event::Key { interface, public_key: &key });
                for peer in peers.iter().filter(|peer| wireguard::is_named(peer)) {
                    tokio::spawn(wireguard::look_up(index, peer.clone()));
                }
                self.keyless.remove(&index);
                self.switch_on(index).await;
            }
            Err(wireguard::WireguardError::NoKey) => drop(self.keyless.insert(index)),
            Err(error) => {
                self.keyless.remove(&index);
                self.tell_error(index, &error.to_string());
            }
        }
    }

    /// Make the kernel's settings what rule and lease say.
    pub(super) async fn settle(&mut self, index: u32) {
        let Some(link) = self.state.links.get_mut(&index) else { return };
        let wanted = settings::settings(&self.rules[link.rule], link.lease.as_ref(), link.lease6.as_ref(), index);
        let steps = settings::changes(&link.applied, &wanted);
        link.applied = wanted;
        for step in steps {
            self.step(index, step).await;
        }
    }

    pub(super) async fn step(&mut self, index: u32, change: settings::Change) {
        if let Err(cause) = kernel::apply(&self.handle, index, change).await {
            self.tell_error(index, &format!("{change:?}: {cause}"));
        }
    }
}
