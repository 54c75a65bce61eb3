//! A time server on the loopback, whose clock began at [`SAYS`] when it was first asked for.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::Context;
use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};

/// 2033-05-18 03:33:20 UTC, in seconds since 1900.
const SAYS: u32 = 2_000_000_000 + 2_208_988_800;

/// Ports that are served already.
static SERVED: Mutex<Vec<u16>> = Mutex::new(Vec::new());

/// Serve the time at a port of the loopback, until this program ends.
///
/// Several cases, and tests beside this one, may want the same: the port is shared.
///
/// # Errors
///
/// The port is somebody else's.
pub fn serve(port: u16) -> anyhow::Result<()> {
    let mut served = SERVED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if served.contains(&port) {
        return Ok(());
    }
    let open = || {
        let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        sockopt::set_socket_reuseport(&socket, true)?;
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
        rustix::io::Result::Ok(UdpSocket::from(socket))
    };
    let socket = open().with_context(|| format!("could not be a time server at port {port}"))?;
    thread::spawn(move || answer(&socket));
    served.push(port);
    Ok(())
}

/// Answer whoever asks (RFC 5905, 7.3).
fn answer(socket: &UdpSocket) {
    let began = Instant::now();
    let mut question = [0; 512];
    while let Ok((len, from)) = socket.recv_from(&mut question) {
        if len < 48 || question[0] & 7 != 3 {
            continue;
        }
        let mut answer = [0; 48];
        (answer[0], answer[1]) = (4 << 3 | 4, 1);
        answer[24..32].copy_from_slice(&question[40..48]);
        let passed = u32::try_from(began.elapsed().as_secs()).unwrap_or(0);
        for at in [32, 40] {
            answer[at..at + 4].copy_from_slice(&(SAYS + passed).to_be_bytes());
        }
        let _ = socket.send_to(&answer, from);
    }
}
