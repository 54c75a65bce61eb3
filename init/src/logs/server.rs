//! A server to which lines are sent, by a thread of its own: one that does not answer holds up nobody else.

use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::{say, syslog};
use crate::contract::LogServer;
use crate::control::protocol::{Line, to_line};

/// Messages that wait for a server; more are lost, and counted.
const WAITING: usize = 4096;

/// How long a server may take to accept a connection, or bytes.
const PATIENCE: Duration = Duration::from_secs(10);

/// First and longest time between two tries to reach it.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    settings: LogServer,
    queue: SyncSender<Vec<u8>>,
    lost: Arc<AtomicU64>,
}

impl Server {
    /// Begin to send.
    pub(super) fn start(settings: &LogServer) -> io::Result<Self> {
        let (queue, messages) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let mut sender = Sender { settings: settings.clone(), lost: Arc::clone(&lost), way: None };
        thread::Builder::new().name("server".to_owned()).spawn(move || sender.run(&messages))?;
        Ok(Self { settings: settings.clone(), queue, lost })
    }

    /// Have a line sent.
    pub(super) fn send(&self, line: &Line, host: &str) {
        let message =
            if self.settings.json { to_line(line) } else { syslog::message(line, host, self.settings.stream) };
        if self.queue.try_send(message).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The thread's side.
struct Sender {
    settings: LogServer,
    lost: Arc<AtomicU64>,
    way: Option<Way>,
}

enum Way {
    Packets(UdpSocket),
    Connection(TcpStream),
}

impl Sender {
    fn run(&mut self, messages: &Receiver<Vec<u8>>) {
        let name = format!("{}://{}", if self.settings.stream { "tcp" } else { "udp" }, self.settings.address);
        let mut failed = false;
        while let Ok(message) = messages.recv() {
            let mut pause = PAUSES[0];
            while let Err(cause) = self.pass_on(&message) {
                self.way = None;
                // Said once: it may last for hours, and this line goes to the other servers too.
                if !std::mem::replace(&mut failed, true) {
                    say(&format!("{name} cannot be reached, lines wait: {cause}"));
                }
                thread::sleep(pause);
                pause = (pause * 2).min(PAUSES[1]);
            }
            if std::mem::take(&mut failed) {
                say(&format!("{name} can be reached again; {} lines were lost", self.lost.swap(0, Ordering::Relaxed)));
            }
        }
    }

    fn pass_on(&mut self, message: &[u8]) -> io::Result<()> {
        if self.way.is_none() {
            self.way = Some(Way::open(&self.settings)?);
        }
        match &mut self.way {
            Some(Way::Packets(socket)) => match socket.send(message) {
                // That nobody listens is told for an earlier packet; one too long for the way is lost alone.
                Err(cause) if matches!(cause.raw_os_error(), Some(libc::ECONNREFUSED | libc::EMSGSIZE)) => {
                    self.lost.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                }
                result => result.map(drop),
            },
            Some(Way::Connection(stream)) => stream.write_all(message),
            None => Ok(()),
        }
    }
}

impl Way {
    fn open(settings: &LogServer) -> io::Result<Self> {
        let address = settings.address;
        if settings.stream {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            return Ok(Self::Connection(stream));
        }
        let any = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(address)?;
        Ok(Self::Packets(socket))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;
    use crate::control::protocol::Stream;

    fn line(text: &str) -> Line {
        Line { service: "web".into(), stream: Stream::Stdout, uptime: 1, time: 2, text: text.into(), dropped: 0 }
    }

    #[test]
    fn packets_and_connections_carry_whole_messages() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        Server::start(&LogServer { address, stream: false, json: false }).unwrap().send(&line("one"), "hull");
        let mut buffer = [0; 200];
        let length = socket.recv(&mut buffer).unwrap();
        assert!(buffer[..length].ends_with(b" hull web - - - one"));

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::start(&LogServer { address, stream: true, json: true }).unwrap();
        server.send(&line("two"), "hull");
        drop(server);
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line("two"));
    }

    #[test]
    fn a_server_that_reads_nothing_costs_lines_and_no_time() {
        // A port where nobody accepts: the connection is refused again and again.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let server = Server::start(&LogServer { address, stream: true, json: true }).unwrap();
        for _ in 0..2 * WAITING {
            server.send(&line("x"), "hull");
        }
        assert!(server.lost.load(Ordering::Relaxed) >= WAITING as u64 - 1);
    }
}
