//! Network interfaces of a container: created in it, created on the host and moved, or taken from the host.
//!
//! In: the process that holds the container's network namespace. All of it is done between its creation and its start, so that
//! the container's program finds its interfaces.
//!
//! # Source
//!
//! LinuxKit, `pkg/init/cmd/service/prepare.go`, for what the keys mean.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rtnetlink::packet_route::link::{InfoKind, LinkMessage};
use rtnetlink::{Error, Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, new_connection};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::StartError;
use crate::contract::RuntimeInterface;
use crate::sys;

/// The kind of link that has two ends.
const VETH: &str = "veth";

/// How often a step is tried again, and how long each wait is: a container that has just ended gives its interfaces back, or
/// takes them with it, a moment later.
const TRIES: u32 = 20;
const WAIT: Duration = Duration::from_millis(100);

/// Give the container its interfaces. A network namespace of its own gets a loopback interface that is on, as runc does it.
pub(super) fn attach(pid: u32, wanted: &[RuntimeInterface], own_network: bool) -> Result<(), StartError> {
    if own_network {
        inside(pid, sys::loopback).map_err(|cause| failed("switch on", "lo", cause))?;
    }
    wanted.iter().try_for_each(|interface| attach_one(pid, interface))
}

fn attach_one(pid: u32, interface: &RuntimeInterface) -> Result<(), StartError> {
    let RuntimeInterface { name, add, peer, create_in_root } = interface;
    let kind = if add.is_empty() && !peer.is_empty() { VETH } else { add };
    if name.is_empty() {
        return Err(failed("create", name, io::Error::other("it has no `name`")));
    }
    if kind == VETH && peer.is_empty() {
        return Err(failed("create", name, io::Error::other("a `veth` needs a `peer`, the name of its other end")));
    }
    let create =
        || again(libc::EEXIST, || ask(async |handle| handle.link().add(link(kind, name, peer)).execute().await));
    let give = || {
        let message = LinkUnspec::new_with_name(name).setns_by_pid(pid).build();
        again(libc::ENODEV, || ask(async |handle| handle.link().set(message.clone()).execute().await))
    };
    match kind {
        "" => {}
        // Its other end stays on the host.
        VETH => create().map_err(|cause| failed("create", name, cause))?,
        _ if *create_in_root => create().map_err(|cause| failed("create", name, cause))?,
        _ => return inside(pid, create).map_err(|cause| failed("create", name, cause)),
    }
    give().map_err(|cause| failed("move", name, cause))
}

/// Describe a link that is to be created.
fn link(kind: &str, name: &str, peer: &str) -> LinkMessage {
    if kind == VETH {
        return LinkVeth::new(name, peer).build();
    }
    LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::Other(kind.to_owned())).name(name).build()
}

/// Ask the kernel on a socket of the network namespace this process is in.
fn ask(request: impl AsyncFnOnce(Handle) -> Result<(), Error>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let (connection, handle, _) = new_connection()?;
        tokio::spawn(connection);
        request(handle).await.map_err(|error| match error {
            Error::NetlinkError(told) => io::Error::from_raw_os_error(-told.raw_code()),
            other => io::Error::other(other),
        })
    })
}

/// Try again as long as the kernel answers with this error, for a bounded time.
fn again(errno: i32, mut step: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    for _ in 1..TRIES {
        match step() {
            Err(cause) if cause.raw_os_error() == Some(errno) => sys::pause_for(WAIT),
            other => return other,
        }
    }
    step()
}

/// Do something in the network namespace of a process, and come back.
fn inside(pid: u32, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let network = Some(LinkNameSpaceType::Network);
    let (own, other) = (File::open("/proc/self/ns/net")?, File::open(format!("/proc/{pid}/ns/net"))?);
    move_into_link_name_space(other.as_fd(), network)?;
    let done = work();
    move_into_link_name_space(own.as_fd(), network)?;
    done
}

/// Say in words what the kernel's shortest answers mean here.
fn failed(action: &'static str, name: &str, cause: io::Error) -> StartError {
    let cause = match cause.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NODEV) => io::Error::other("the host has no interface of that name"),
        Some(Errno::OPNOTSUPP) => {
            io::Error::other("the kernel does not know this kind; add its module to `modules`, in `load`")
        }
        _ => cause,
    };
    StartError::Interface { action, name: name.to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_without_a_name_or_a_peer_is_refused_before_the_kernel_is_asked() {
        let nameless = RuntimeInterface { add: "dummy".into(), ..RuntimeInterface::default() };
        let endless = RuntimeInterface { name: "a".into(), add: "veth".into(), ..RuntimeInterface::default() };
        for (interface, word) in [(nameless, "`name`"), (endless, "`peer`")] {
            let error = attach_one(u32::MAX, &interface).unwrap_err();
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(cause.contains(word), "{cause}");
        }
    }

    #[test]
    fn a_step_is_tried_again_only_for_the_error_it_waits_out() {
        let mut left = 3;
        let step = || {
            left -= 1;
            if left > 0 { Err(io::Error::from_raw_os_error(libc::EEXIST)) } else { Ok(()) }
        };
        again(libc::EEXIST, step).unwrap();
        assert_eq!(left, 0);
        let other = again(libc::EEXIST, || Err(io::Error::from_raw_os_error(libc::EPERM))).unwrap_err();
        assert_eq!(other.raw_os_error(), Some(libc::EPERM));
    }
}
