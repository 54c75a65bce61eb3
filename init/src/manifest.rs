//! The manifest's `network` rules, as init will apply them. Behind the feature `manifest`: for whoever reads manifests, which PID 1 does
//! not.

use linuxkit_yaml::{Cidr, Destination, Network};

use crate::contract;

/// Translate the rules, in their order.
#[must_use]
pub fn interfaces(network: &Network) -> Vec<contract::Interface> {
    let rule = |(id, rule): &(linuxkit_yaml::Spanned<String>, linuxkit_yaml::NetworkRule)| contract::Interface {
        id: id.value.clone(),
        name: rule.name_glob(id).map(str::to_owned),
        mac: rule.matches.as_ref().and_then(|matches| matches.mac.as_ref()).map(|mac| mac.value.0.clone()),
        dhcp: rule.dhcp,
        accept_ra: rule.accept_ra,
        addresses: rule.addresses.iter().map(|address| cidr(**address)).collect(),
        routes: rule.routes.iter().map(route).collect(),
        nameservers: rule.nameservers.iter().map(|server| server.value.0).collect(),
        search: rule.search.iter().map(|domain| domain.value.clone()).collect(),
        mtu: rule.mtu.as_ref().map(|mtu| mtu.value),
    };
    network.rules.iter().map(rule).collect()
}

/// Translate one address.
fn cidr(cidr: Cidr) -> contract::Cidr {
    contract::Cidr { address: cidr.address, prefix: cidr.prefix }
}

/// Translate one route.
fn route(route: &linuxkit_yaml::Route) -> contract::Route {
    contract::Route {
        to: match *route.to {
            Destination::Default => None,
            Destination::Network(network) => Some(cidr(network)),
        },
        via: route.via.as_ref().map(|via| via.value.0),
        metric: route.metric,
    }
}
