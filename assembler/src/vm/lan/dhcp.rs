//! What a DHCP server of one answer for each card says: a message in, its answer out.

use std::net::Ipv4Addr;

use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable};

use super::station::ADDRESS;

/// For how long, in seconds: longer than any test.
const LEASE: u32 = 86_400;

/// Offset and value of the length of a card's address; the decoder trusts it.
const LENGTH_AT: usize = 2;
const LENGTH: u8 = 6;

/// Answer one machine.
///
/// In: `mac`, the card that asks; its address and its name. Out: an offer, a grant, or a refusal of another address than its own; nothing
/// for what is no question to this server.
///
/// # Source
///
/// RFC 2131, 4.3.
pub(super) fn answer(question: &[u8], mac: [u8; 6], (address, name): (Ipv4Addr, &str)) -> Option<Vec<u8>> {
    if question.get(LENGTH_AT) != Some(&LENGTH) {
        return None;
    }
    let question = Message::decode(&mut Decoder::new(question)).ok()?;
    if question.opcode() != Opcode::BootRequest || question.chaddr() != mac {
        return None;
    }
    if let Some(DhcpOption::ServerIdentifier(server)) = question.opts().get(OptionCode::ServerIdentifier)
        && *server != ADDRESS
    {
        return None;
    }
    let wanted = match question.opts().get(OptionCode::RequestedIpAddress) {
        Some(DhcpOption::RequestedIpAddress(wanted)) => *wanted,
        _ => question.ciaddr(),
    };
    let kind = match question.opts().msg_type()? {
        MessageType::Discover => MessageType::Offer,
        MessageType::Request if wanted == address => MessageType::Ack,
        MessageType::Request => MessageType::Nak,
        _ => return None,
    };
    let mut reply = Message::default();
    reply.set_opcode(Opcode::BootReply).set_xid(question.xid()).set_chaddr(&mac);
    reply.set_flags(Flags::from(u16::from(question.flags())));
    let options = reply.opts_mut();
    options.insert(DhcpOption::MessageType(kind));
    options.insert(DhcpOption::ServerIdentifier(ADDRESS));
    if kind != MessageType::Nak {
        options.insert(DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)));
        options.insert(DhcpOption::AddressLeaseTime(LEASE));
        options.insert(DhcpOption::DomainNameServer(vec![ADDRESS]));
        options.insert(DhcpOption::Hostname(name.to_owned()));
        reply.set_yiaddr(address);
    }
    reply.to_vec().ok()
}
