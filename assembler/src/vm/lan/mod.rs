//! A network between machines: each sends whole Ethernet frames over a socket, and every frame goes to all the others.
//!
//! In: the names of the machines. Out: a socket that each is plugged into. Beside them a [`Station`] is on it, which gives
//! them addresses and knows their names; it leads nowhere else.

mod dhcp;
mod dns;
mod station;

use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::id;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::VmError;
use super::control::folder;
use station::Station;

pub(super) use station::mac;

/// Longest frame, in bytes: what a card sends in one piece if it leaves the cutting to others, with its headers.
const LONGEST: usize = 80 << 10;

/// Bytes in front of a frame: its length.
const HEAD: usize = 4;

/// Machines at once.
const MOST: usize = 64;

/// How long a machine may take to accept a frame before it is off the network.
const PATIENCE: Duration = Duration::from_secs(5);

/// Counts the networks of this process: each has a socket of its own.
static MADE: AtomicU32 = AtomicU32::new(0);

/// A network; it ends with this value.
#[derive(Debug)]
pub struct Lan {
    socket: PathBuf,
    ports: Arc<Mutex<Ports>>,
}

#[derive(Debug, Default)]
struct Ports {
    last: u64,
    streams: Vec<(u64, UnixStream)>,
    over: bool,
}

impl Lan {
    /// Make a network that machines can be plugged into.
    ///
    /// In: `names`, that of the machine with number 1 first (see [`Machine::lan`](super::Machine::lan)).
    ///
    /// # Errors
    ///
    /// - [`VmError::Sockets`]: there is no safe folder for its socket.
    pub fn new(names: Vec<String>) -> Result<Self, VmError> {
        let socket = folder()?.join(format!("{}-{}.lan", id(), MADE.fetch_add(1, Ordering::Relaxed)));
        let failed = |cause| VmError::Sockets { path: socket.clone(), cause };
        // Left by a process of the same number.
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).map_err(failed)?;
        let ports = Arc::new(Mutex::new(Ports::default()));
        let (owner, station) = (Arc::clone(&ports), Arc::new(Station::new(names)));
        let accept = move || {
            for stream in listener.incoming().flatten() {
                if lock(&owner).over {
                    return;
                }
                // A machine that cannot be served finds its cable cut.
                let _ = plug(&owner, &station, stream);
            }
        };
        thread::Builder::new().name("lan".to_owned()).spawn(accept).map_err(failed)?;
        Ok(Self { socket, ports })
    }

    /// Give the path of its socket, for [`Machine::lan`](super::Machine::lan).
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        let mut ports = lock(&self.ports);
        ports.over = true;
        for (_, stream) in ports.streams.drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        drop(ports);
        // Wakes the thread that accepts.
        let _ = UnixStream::connect(&self.socket);
        let _ = fs::remove_file(&self.socket);
    }
}

fn lock(ports: &Mutex<Ports>) -> std::sync::MutexGuard<'_, Ports> {
    ports.lock().unwrap_or_else(PoisonError::into_inner)
}

fn plug(ports: &Arc<Mutex<Ports>>, station: &Arc<Station>, stream: UnixStream) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let reader = stream.try_clone()?;
    let number = {
        let mut ports = lock(ports);
        if ports.streams.len() >= MOST {
            return Ok(());
        }
        ports.last += 1;
        let number = ports.last;
        ports.streams.push((number, stream));
        number
    };
    let (owner, station) = (Arc::clone(ports), Arc::clone(station));
    let carry = move || {
        let mut reader = BufReader::new(reader);
        while let Ok(Some(frame)) = frame(&mut reader) {
            let answer = station.answer(&frame[HEAD..]).map(with_head);
            lock(&owner).streams.retain_mut(|(port, stream)| match &answer {
                Some(answer) if *port == number => stream.write_all(answer).is_ok(),
                None if *port == number => true,
                _ => stream.write_all(&frame).is_ok(),
            });
        }
        lock(&owner).streams.retain(|(port, _)| *port != number);
    };
    thread::Builder::new().name("cable".to_owned()).spawn(carry).map(drop)
}

/// Read one frame with its length in front; nothing if the cable was pulled, or what comes is no frame.
///
/// # Source
///
/// QEMU, `net/stream.c`: four bytes, big-endian, then so many of the frame.
fn frame(reader: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; HEAD];
    reader.read_exact(&mut head)?;
    let length = usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Ok(None);
    }
    let mut frame = vec![0; HEAD + length];
    frame[..HEAD].copy_from_slice(&head);
    reader.read_exact(&mut frame[HEAD..])?;
    Ok(Some(frame))
}

/// Put its length in front of a frame.
fn with_head(frame: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &frame].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_goes_to_all_the_others() {
        let lan = Lan::new(Vec::new()).expect("a network");
        let machine = || {
            let stream = UnixStream::connect(lan.socket()).expect("a port");
            stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
            stream
        };
        let (mut one, mut two, mut three) = (machine(), machine(), machine());
        while lock(&lan.ports).streams.len() < 3 {
            thread::yield_now();
        }
        one.write_all(b"\0\0\0\x02hi").expect("a cable");
        for stream in [&mut two, &mut three] {
            assert_eq!(frame(stream).expect("a frame").as_deref(), Some(&b"\0\0\0\x02hi"[..]));
        }
        // What is too long is no frame, and whoever sends it is off the network.
        two.write_all(&[0xff; 4]).expect("a cable");
        while lock(&lan.ports).streams.len() > 2 {
            thread::yield_now();
        }
        three.write_all(b"\0\0\0\x01x").expect("a cable");
        assert_eq!(frame(&mut one).expect("a frame").as_deref(), Some(&b"\0\0\0\x01x"[..]));
    }
}
