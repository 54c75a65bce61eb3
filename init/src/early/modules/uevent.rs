//! The kernel's news of devices.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recvfrom, socket_with};

/// Multicast group on which the kernel itself speaks; `udev` has the next one.
const KERNEL: u32 = 1;
/// Largest message, in bytes: `UEVENT_BUFFER_SIZE` and the header before it.
const MESSAGE_MAX: usize = 8 << 10;

/// A socket on which the kernel tells of every device that comes or goes.
#[derive(Debug)]
pub(super) struct Uevents {
    socket: OwnedFd,
    /// It told something since somebody asked.
    heard: Cell<bool>,
}

impl Uevents {
    /// Begin to listen; what happened before is not told.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub(super) fn listen() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(KOBJECT_UEVENT))?;
        bind(&socket, &SocketAddrNetlink::new(0, KERNEL))?;
        Ok(Self { socket, heard: Cell::new(false) })
    }

    /// What to wait on.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Tell whether anything has changed since the last call, be it not a device that came.
    pub(super) fn heard(&self) -> bool {
        self.heard.take()
    }

    /// Names of the devices that have come; `None` if the kernel had to leave some out.
    pub(super) fn drain(&self) -> Option<BTreeSet<String>> {
        let (mut names, mut whole) = (BTreeSet::new(), true);
        let mut buffer = vec![0; MESSAGE_MAX];
        loop {
            match recvfrom(&self.socket, &mut buffer[..], RecvFlags::empty()) {
                Ok((_, len, from)) => {
                    let from = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
                    if from.is_some_and(|from| from.pid() == 0) {
                        self.heard.set(true);
                        names.extend(modalias(buffer.get(..len).unwrap_or_default()));
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::NOBUFS) => whole = false,
                Err(_) => return whole.then_some(names),
            }
        }
    }
}

/// Name of the device that a message says was added.
///
/// # Source
///
/// Linux, `lib/kobject_uevent.c`: `ACTION@DEVPATH`, then `KEY=VALUE`, each ended by a zero byte.
fn modalias(message: &[u8]) -> Option<String> {
    let mut words = message.split(|byte| *byte == 0);
    if !words.next()?.starts_with(b"add@") {
        return None;
    }
    let name = words.find_map(|word| word.strip_prefix(b"MODALIAS="))?;
    String::from_utf8(name.to_vec()).ok().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_an_added_device_is_read() {
        let message = b"add@/devices/pci0/virtio0\0ACTION=add\0SEQNUM=1\0MODALIAS=virtio:d00000001v00001AF4\0";
        assert_eq!(modalias(message).as_deref(), Some("virtio:d00000001v00001AF4"));
        for other in [
            &b"remove@/x\0MODALIAS=a\0"[..],
            b"add@/x\0ACTION=add\0",
            b"",
            b"add@/x\0MODALIAS=\0",
            b"add@/x\0MODALIAS=\xff\0",
        ] {
            assert_eq!(modalias(other), None);
        }
    }

    #[test]
    fn silence_is_no_news() {
        let uevents = Uevents::listen().unwrap();
        assert!(uevents.drain().is_some());
    }
}
