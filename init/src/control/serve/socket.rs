//! The descriptors of the control protocol: the socket, the virtio port, a program's terminal.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use crate::control::PORT;
use crate::control::protocol::Size;

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
    #[expect(clippy::disallowed_methods, reason = "one of them has the name, or none")]
    let entries = fs::read_dir(PORTS).ok()?;
    let is_ours =
        |name: &std::path::Path| fs::read(name.join("name")).is_ok_and(|name| name.trim_ascii() == PORT.as_bytes());
    let entry = entries.filter_map(Result::ok).find(|entry| is_ours(&entry.path()))?;
    let device = std::path::Path::new("/dev").join(entry.file_name());
    rustix::fs::open(device, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// Magic number of devpts (linux/magic.h).
const DEVPTS: rustix::fs::FsWord = 0x1cd1;

/// Make a terminal among the container's own, so that it has a name there. In: the container's first process. Out: PID 1's end, which
/// never blocks, and the program's.
///
/// What lies in a container is its own choice: nothing is opened there before it is seen to be what it should.
pub(crate) fn terminal(pid: u32, size: Size) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = rustix::fs::open(format!("/proc/{pid}/root"), flags | OFlags::DIRECTORY, Mode::empty())?;
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let maker = rustix::fs::openat2(&root, "dev/pts/ptmx", flags, Mode::empty(), within)?;
    if rustix::fs::fstatfs(&maker)?.f_type != DEVPTS {
        return Err(io::Error::other("the container's /dev/pts is no devpts"));
    }
    let link = format!("/proc/self/fd/{}", maker.as_raw_fd());
    let ours =
        rustix::fs::open(link, OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    rustix::pty::unlockpt(&ours)?;
    let theirs = rustix::pty::ioctl_tiocgptpeer(&ours, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&ours, size)?;
    Ok((ours, theirs))
}
