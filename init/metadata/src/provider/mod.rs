//! Who may be asked, each in a file of its own. In: the machine, or a [`Client`] of the provider's server. Out: an [`Answer`].
//!
//! Names in `provider` and of further files are LinuxKit's (`pkg/metadata`), so that its images find what they look for.

pub(crate) mod aws;
pub(crate) mod azure;
pub(crate) mod digitalocean;
pub(crate) mod gcp;
pub(crate) mod hetzner;
pub(crate) mod local;
pub(crate) mod openstack;
pub(crate) mod scaleway;
pub(crate) mod vmware;
pub(crate) mod vultr;

use std::time::Instant;

use linuxkit_yaml::Provider;
use serde_json::Value;

use crate::answer::Answer;
use crate::client::Client;
use crate::error::Refusal;
use crate::machine::Machine;

/// Where most clouds answer, on the link of every machine.
const LINK_LOCAL: &str = "http://169.254.169.254";

/// Tell whether a provider is asked over the network.
pub(crate) fn is_remote(provider: &Provider, machine: &Machine) -> bool {
    match provider {
        Provider::Nocloud => machine.seed().is_some_and(|seed| seed.url.is_some()),
        Provider::Configdrive | Provider::FwCfg | Provider::Vmware | Provider::File(_) => false,
        _ => true,
    }
}

/// Ask a provider once.
pub(crate) fn ask(provider: &Provider, machine: &Machine, deadline: Instant) -> Result<Answer, Refusal> {
    let client = || Client::new(LINK_LOCAL, deadline);
    match provider {
        Provider::Nocloud => match machine.seed() {
            Some(seed) if seed.url.is_some() => {
                machine.find_names();
                let url = seed.url.clone().unwrap_or_default();
                local::seeded(&Client::new(url.trim_end_matches('/'), deadline), seed)
            }
            seed => local::nocloud(machine, seed),
        },
        Provider::Configdrive => local::configdrive(machine),
        Provider::FwCfg => local::fw_cfg(machine),
        Provider::File(path) => local::file(machine, path),
        Provider::Aws => aws::ask(client()),
        Provider::Azure => azure::ask(client()),
        Provider::Digitalocean => digitalocean::ask(&client()),
        Provider::Gcp => gcp::ask(client()),
        Provider::Hetzner => hetzner::ask(&client()),
        Provider::Openstack => openstack::ask(&client()),
        Provider::Scaleway => scaleway::ask(&Client::new(scaleway::ADDRESS, deadline)),
        Provider::Vmware => vmware::ask(),
        Provider::Vultr => vultr::ask(&client()),
    }
}

/// A text or a number of a JSON document, if it is there and not empty.
fn at(document: &Value, pointer: &str) -> Option<String> {
    let text = match document.pointer(pointer)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

/// All texts of a JSON document, however they are nested: lists of keys come in every shape.
fn texts(document: &Value, found: &mut Vec<String>) {
    match document {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(entries) => entries.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

impl Answer {
    /// Add the keys in a part of a document.
    fn keys_at(&mut self, document: &Value, pointer: &str) {
        let mut found = Vec::new();
        document.pointer(pointer).iter().for_each(|part| texts(part, &mut found));
        found.iter().for_each(|text| self.keys(text));
    }
}
