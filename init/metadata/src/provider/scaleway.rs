//! Scaleway, whose user data is for those alone who may use a port below 1024.
//!
//! # Source
//!
//! Scaleway's documentation, "Using the metadata API"; LinuxKit, `pkg/metadata/provider_scaleway.go`.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport};

use super::at;
use crate::answer::Answer;
use crate::client::Client;
use crate::error::Refusal;

/// Where it answers.
pub(crate) const ADDRESS: &str = "http://169.254.42.42";

/// Ports that only root may speak from; one of them is free.
const PORTS: std::ops::Range<u16> = 990..1022;

/// Ask.
pub(crate) fn ask(client: &Client) -> Result<Answer, Refusal> {
    let document = client.json("/conf?format=json")?;
    let mut answer = Answer::of("Scaleway");
    answer.hostname = at(&document, "/hostname");
    answer.fact("instance_id", at(&document, "/id"));
    answer.fact("instance_location", at(&document, "/location/zone_id"));
    answer.fact("public_ip", at(&document, "/public_ip/address"));
    answer.fact("private_ip", at(&document, "/private_ip"));
    let keys = document.pointer("/ssh_public_keys").and_then(|keys| keys.as_array()).cloned().unwrap_or_default();
    keys.iter().filter_map(|key| at(key, "/key")).for_each(|key| answer.keys(&key));
    answer.userdata = client.privileged().try_get("/user_data/cloud-init")?;
    Ok(answer)
}

/// Makes connections from a port below 1024, where it may.
#[derive(Debug)]
pub(crate) struct Privileged;

impl Connector for Privileged {
    type Out = Stream;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Stream>, Error> {
        let address = details.addrs.first().copied().ok_or(Error::HostNotFound)?;
        let stream = connect(address, time(details.timeout)?)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Stream { stream, buffers }))
    }
}

/// Connect, from the first port below 1024 that is free.
fn connect(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let mut last = io::ErrorKind::AddrInUse.into();
    for port in PORTS.rev() {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A port that has just been used for the same server shows that only when connecting.
        match socket
            .bind(&SocketAddr::new(any, port).into())
            .and_then(|()| socket.connect_timeout(&address.into(), timeout))
        {
            Ok(()) => return Ok(socket.into()),
            Err(cause) if matches!(cause.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable) => {
                last = cause
            }
            Err(cause) => return Err(cause),
        }
    }
    Err(last)
}

/// How long may be waited; never without end.
fn time(timeout: NextTimeout) -> Result<Duration, Error> {
    match timeout.not_zero() {
        Some(time) => Ok(*time),
        None => Err(Error::Timeout(timeout.reason)),
    }
}

/// A connection, as the HTTP library wants it.
#[derive(Debug)]
pub(crate) struct Stream {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl Transport for Stream {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.set_write_timeout(Some(time(timeout)?))?;
        Ok(self.stream.write_all(&self.buffers.output()[..amount])?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.set_read_timeout(Some(time(timeout)?))?;
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // Every question has a connection of its own.
        false
    }
}
