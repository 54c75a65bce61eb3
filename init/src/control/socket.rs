//! The descriptors of the control protocol: the socket, the virtio port, a program's terminal.

use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use super::PORT;
use super::protocol::Size;

/// Where the kernel lists virtio ports.
const PORTS: &str = "/sys/class/virtio-ports";

/// Connections that may wait to be taken.
const BACKLOG: i32 = 16;

/// Listen on a Unix socket, in place of what is there.
pub(crate) fn listen(path: &str) -> io::Result<OwnedFd> {
    if let Some((folder, _)) = path.rsplit_once('/') {
        fs::create_dir_all(folder)?;
    }
    // Whatever was there is of an earlier life.
    let _ = fs::remove_file(path);
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::fs::chmod(path, Mode::RUSR | Mode::WUSR)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Take a connection that waits.
pub(crate) fn accept(listener: &OwnedFd) -> Option<OwnedFd> {
    rustix::net::accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK).ok()
}

/// Tell whether the other side of a connection is gone.
pub(crate) fn is_over(fd: BorrowedFd<'_>) -> bool {
    let mut set = [PollFd::from_borrowed_fd(fd, PollFlags::empty())];
    rustix::event::poll(&mut set, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// Open the virtio port of this protocol.
pub(crate) fn port() -> Option<OwnedFd> {
    let entries = fs::read_dir(PORTS).ok()?;
    let is_ours =
        |name: &std::path::Path| fs::read(name.join("name")).is_ok_and(|name| name.trim_ascii() == PORT.as_bytes());
    let entry = entries.filter_map(Result::ok).find(|entry| is_ours(&entry.path()))?;
    let device = std::path::Path::new("/dev").join(entry.file_name());
    rustix::fs::open(device, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// Make a terminal. Out: PID 1's end, which never blocks, and the program's.
pub(crate) fn terminal(size: Size) -> io::Result<(OwnedFd, OwnedFd)> {
    let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    rustix::pty::grantpt(&ours)?;
    rustix::pty::unlockpt(&ours)?;
    let name = rustix::pty::ptsname(&ours, Vec::new())?;
    let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&ours, size)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, theirs))
}
