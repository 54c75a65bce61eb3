//! What the kernel is asked to do, by netlink and `/proc/sys`.

use std::net::IpAddr;
use std::path::Path as FilePath;

use futures_util::StreamExt;
use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, CacheInfo};
use rtnetlink::packet_route::link::{
    BondLacpRate, BridgeStpState, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
};
use rtnetlink::packet_route::route::{RouteMessage, RouteProtocol, RouteScope};
use rtnetlink::{Error, Handle, LinkBond, LinkBridge, LinkUnspec, LinkVlan, LinkWireguard, RouteMessageBuilder};

use super::rules::Identity;
use super::settings::{Change, Path};
use crate::contract::Link;

/// Switch an interface on.
///
/// # Errors
///
/// The kernel's.
pub async fn up(handle: &Handle, index: u32) -> Result<(), Error> {
    handle.link().set(LinkUnspec::new_with_index(index).up().build()).execute().await
}

/// Make a link. In: its name; `below`, the index of the interface that carries it, if it is a VLAN. One that is there is
/// made so: the kernel's module for bonds brings a `bond0` of its own.
///
/// # Errors
///
/// The kernel's.
pub async fn make(handle: &Handle, name: &str, link: &Link, below: u32) -> Result<(), Error> {
    let message = match *link {
        Link::Vlan { id, .. } => LinkVlan::new(name, below, id).build(),
        Link::Bond { mode, miimon, lacp_fast, hash } => {
            let mut builder = LinkBond::new(name).mode(mode.into()).miimon(miimon);
            if lacp_fast {
                builder = builder.ad_lacp_rate(BondLacpRate::Fast);
            }
            if let Some(hash) = hash {
                builder = builder.xmit_hash_policy(hash.into());
            }
            builder.build()
        }
        Link::Bridge { stp, forward_delay } => {
            let state = if stp { BridgeStpState::KernelStp } else { BridgeStpState::Disabled };
            let mut builder = LinkBridge::new(name).stp_state(state);
            if let Some(delay) = forward_delay {
                builder = builder.forward_delay(delay);
            }
            builder.build()
        }
        Link::Wireguard { .. } => LinkWireguard::new(name).build(),
    };
    match handle.link().add(message.clone()).execute().await {
        Err(Error::NetlinkError(error)) if error.raw_code() == -rustix::io::Errno::EXIST.raw_os_error() => {
            // A bond takes a mode only while it is off.
            handle.link().set(LinkUnspec::new_with_name(name).down().build()).execute().await?;
            change(handle, message).await
        }
        done => done,
    }
}

/// Change a link that is there: what the crate's own request to add one never does.
async fn change(handle: &Handle, message: LinkMessage) -> Result<(), Error> {
    let mut request = NetlinkMessage::from(RouteNetlinkMessage::NewLink(message));
    request.header.flags = NLM_F_REQUEST | NLM_F_ACK;
    let mut answers = handle.clone().request(request)?;
    while let Some(answer) = answers.next().await {
        if let NetlinkPayload::Error(error) = answer.payload
            && error.code.is_some()
        {
            return Err(Error::NetlinkError(error));
        }
    }
    Ok(())
}

/// Put an interface into a bond or bridge, and switch it on.
///
/// # Errors
///
/// The kernel's.
pub async fn join(handle: &Handle, index: u32, master: u32) -> Result<(), Error> {
    // A bond takes only what is off, and the kernel looks at the flags of a request last.
    handle.link().set(LinkUnspec::new_with_index(index).down().build()).execute().await?;
    handle.link().set(LinkUnspec::new_with_index(index).controller(master).build()).execute().await?;
    up(handle, index).await
}

/// Name of the driver of an interface, if it is a device's.
#[must_use]
pub fn driver(name: &str) -> Option<String> {
    let link = FilePath::new("/sys/class/net").join(name).join("device/driver");
    Some(std::fs::read_link(link).ok()?.file_name()?.to_string_lossy().into_owned())
}

/// Take one step. One that has been taken already is success.
///
/// # Errors
///
/// The kernel's.
pub async fn apply(handle: &Handle, index: u32, change: Change) -> Result<(), Error> {
    let done = match change {
        Change::Mtu(mtu) => handle.link().set(LinkUnspec::new_with_index(index).mtu(mtu).build()).execute().await,
        Change::AddAddress(address, prefix, lifetime) => {
            let mut request = handle.address().add(index, address, prefix).replace();
            if let Some(seconds) = lifetime {
                // The kernel ends the address itself, even if nobody is left to do it.
                let mut info = CacheInfo::default();
                (info.ifa_preferred, info.ifa_valid) = (seconds, seconds);
                request.message_mut().attributes.push(AddressAttribute::CacheInfo(info));
            }
            request.execute().await
        }
        Change::RemoveAddress(address, prefix) => {
            let mut message = AddressMessage::default();
            message.header.family = match address {
                IpAddr::V4(_) => rtnetlink::packet_route::AddressFamily::Inet,
                IpAddr::V6(_) => rtnetlink::packet_route::AddressFamily::Inet6,
            };
            (message.header.index, message.header.prefix_len) = (index, prefix);
            message.attributes.push(AddressAttribute::Local(address));
            handle.address().del(message).execute().await
        }
        Change::AddRoute(path) => handle.route().add(route(index, &path)).replace().execute().await,
        Change::RemoveRoute(path) => handle.route().del(route(index, &path)).execute().await,
    };
    let gone = [rustix::io::Errno::SRCH, rustix::io::Errno::ADDRNOTAVAIL, rustix::io::Errno::NODEV];
    match (done, change) {
        (Err(Error::NetlinkError(error)), Change::RemoveAddress(..) | Change::RemoveRoute(_))
            if gone.iter().any(|errno| error.raw_code() == -errno.raw_os_error()) =>
        {
            Ok(())
        }
        (done, _) => done,
    }
}

fn route(index: u32, path: &Path) -> RouteMessage {
    let protocol = if path.dhcp { RouteProtocol::Dhcp } else { RouteProtocol::Static };
    macro_rules! build {
        ($kind:ty, $to:expr, $via:expr) => {{
            let builder = RouteMessageBuilder::<$kind>::new().output_interface(index).protocol(protocol);
            let mut builder = builder.destination_prefix($to, path.to.1);
            if let Some(metric) = path.metric {
                builder = builder.priority(metric);
            }
            match $via {
                Some(gateway) if path.onlink => builder.gateway(gateway).onlink().build(),
                Some(gateway) => builder.gateway(gateway).build(),
                None => builder.scope(RouteScope::Link).build(),
            }
        }};
    }
    match (path.to.0, path.via) {
        (IpAddr::V4(to), Some(IpAddr::V4(via))) => build!(std::net::Ipv4Addr, to, Some(via)),
        (IpAddr::V4(to), Some(IpAddr::V6(via))) => {
            let mut message = build!(std::net::Ipv4Addr, to, None::<std::net::Ipv4Addr>);
            message.header.scope = RouteScope::Universe;
            message.attributes.push(rtnetlink::packet_route::route::RouteAttribute::Via(
                rtnetlink::packet_route::route::RouteVia::Inet6(via),
            ));
            message
        }
        (IpAddr::V4(to), None) => build!(std::net::Ipv4Addr, to, None::<std::net::Ipv4Addr>),
        (IpAddr::V6(to), Some(IpAddr::V6(via))) => build!(std::net::Ipv6Addr, to, Some(via)),
        (IpAddr::V6(to), _) => build!(std::net::Ipv6Addr, to, None::<std::net::Ipv6Addr>),
    }
}

/// Have the kernel take addresses and routes from routers on the link, or not.
///
/// Two, not one, to take them even on a host that forwards packets, as a container host does. A kernel without IPv6 has no such
/// switch, and nothing to switch.
pub fn set_accept_ra(name: &str, accept: bool) {
    let switch = FilePath::new("/proc/sys/net/ipv6/conf").join(name).join("accept_ra");
    let _ = std::fs::write(switch, if accept { "2" } else { "0" });
}

/// What a link message says of an interface: who it is, whether it carries packets, whether a DHCP client can work on it.
#[must_use]
pub fn read_link(message: &LinkMessage) -> (Identity, bool, bool) {
    let mut identity = Identity { loopback: message.header.flags.contains(LinkFlags::Loopback), ..Identity::default() };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => identity.name.clone_from(name),
            LinkAttribute::Address(mac) => identity.mac.clone_from(mac),
            LinkAttribute::Controller(index) => identity.master = Some(*index),
            LinkAttribute::LinkInfo(infos) => {
                identity.made |= infos.iter().any(|info| matches!(info, LinkInfo::Kind(_)));
            }
            _ => {}
        }
    }
    let ethernet = message.header.link_layer_type == LinkLayerType::Ether;
    (identity, message.header.flags.contains(LinkFlags::LowerUp), ethernet)
}

/// What an address message says: the address, and whether it can be used.
#[must_use]
pub fn read_address(message: &AddressMessage) -> Option<(IpAddr, bool)> {
    let find = |attribute: &AddressAttribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    };
    let find_remote = |attribute: &AddressAttribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    };
    let all = &message.attributes;
    let address = all.iter().find_map(find).or_else(|| all.iter().find_map(find_remote))?;
    let waits = message.header.flags.intersects(AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed)
        || all.iter().any(|attribute| {
            let AddressAttribute::Flags(flags) = attribute else { return false };
            flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed)
        });
    Some((address, !waits))
}
