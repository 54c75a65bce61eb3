//! The one on a network of machines that is none of them: it gives them addresses and tells them each other's. A frame in, its answer out;
//! it remembers nothing.

use std::net::Ipv4Addr;

use etherparse::{
    ArpEthIpv4Packet, ArpOperation, LinkSlice, NetSlice, PacketBuilder, SlicedPacket, TransportSlice, UdpSlice,
};

use super::{dhcp, dns};

/// The network, 24 bits of it; a machine has its number there, the station the last of all.
const NETWORK: [u8; 3] = [10, 7, 0];
const STATION: u8 = 254;

/// Where the station is asked for names.
pub(super) const ADDRESS: Ipv4Addr = address(STATION);

/// Hops that an answer may take; it is on the link.
const HOPS: u8 = 64;

/// Ports of the two protocols.
const DHCP_SERVER: u16 = 67;
const DHCP_CLIENT: u16 = 68;
const DNS: u16 = 53;

/// Give the address of the card that a machine's number has.
///
/// Locally administered, so that nobody else's card has it.
pub(in crate::vm) const fn mac(number: u8) -> [u8; 6] {
    [0x52, 0x54, 0x00, 0x4c, 0x41, number]
}

const fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(NETWORK[0], NETWORK[1], NETWORK[2], number)
}

/// Who gives addresses and knows names.
#[derive(Debug)]
pub(super) struct Station {
    names: Vec<String>,
}

impl Station {
    /// Know machines by their names, that of number 1 first.
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { names }
    }

    /// Answer a frame that is for the station; nothing if it is not, or makes no sense.
    pub(super) fn answer(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let packet = SlicedPacket::from_ethernet(frame).ok()?;
        let Some(LinkSlice::Ethernet2(link)) = &packet.link else { return None };
        let asker = link.source();
        match (&packet.net, &packet.transport) {
            (Some(NetSlice::Arp(arp)), _) => Self::resolve(&arp.to_packet().try_eth_ipv4().ok()?),
            (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) => {
                let header = ip.header();
                self.serve(asker, header.source_addr(), header.destination_addr(), udp)
            }
            _ => None,
        }
    }

    /// Say whose address the station's is.
    fn resolve(question: &ArpEthIpv4Packet) -> Option<Vec<u8>> {
        if question.operation != ArpOperation::REQUEST || question.target_ipv4_addr() != ADDRESS {
            return None;
        }
        let answer = ArpEthIpv4Packet {
            operation: ArpOperation::REPLY,
            sender_mac: mac(STATION),
            sender_ipv4: ADDRESS.octets(),
            target_mac: question.sender_mac,
            target_ipv4: question.sender_ipv4,
        };
        let builder = PacketBuilder::ethernet2(mac(STATION), question.sender_mac).arp(answer.to_arp_packet());
        let mut frame = Vec::new();
        builder.write(&mut frame).ok()?;
        Some(frame)
    }

    fn serve(&self, asker: [u8; 6], from: Ipv4Addr, to: Ipv4Addr, udp: &UdpSlice<'_>) -> Option<Vec<u8>> {
        let (to, port, payload) = match udp.destination_port() {
            DHCP_SERVER if to == ADDRESS || to.is_broadcast() => {
                let number = (1..).zip(&self.names).find(|(number, _)| mac(*number) == asker);
                let payload =
                    dhcp::answer(udp.payload(), asker, number.map(|(number, name)| (address(number), &**name))?)?;
                // One that has no address yet hears what is for everybody.
                (if from.is_unspecified() { Ipv4Addr::BROADCAST } else { from }, DHCP_CLIENT, payload)
            }
            DNS if to == ADDRESS => (from, udp.source_port(), dns::answer(udp.payload(), |name| self.find(name))?),
            _ => return None,
        };
        let builder = PacketBuilder::ethernet2(mac(STATION), asker).ipv4(ADDRESS.octets(), to.octets(), HOPS);
        let mut frame = Vec::new();
        builder.udp(udp.destination_port(), port).write(&mut frame, &payload).ok()?;
        Some(frame)
    }

    fn find(&self, name: &str) -> Option<Ipv4Addr> {
        (1..).zip(&self.names).find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(number, _)| address(number))
    }
}

#[cfg(test)]
mod tests {
    use dhcproto::v4::{DhcpOption, Message, MessageType, OptionCode};
    use dhcproto::{Decodable, Decoder, Encodable};
    use hickory_proto::op::{Message as Names, Query, ResponseCode};
    use hickory_proto::rr::{Name, RData, RecordType};

    use super::*;

    fn station() -> Station {
        Station::new(vec!["one".to_owned(), "Two".to_owned()])
    }

    fn udp(machine: u8, from: Ipv4Addr, to: Ipv4Addr, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2(mac(machine), [0xff; 6]).ipv4(from.octets(), to.octets(), 64);
        let mut frame = Vec::new();
        builder.udp(ports.0, ports.1).write(&mut frame, payload).expect("a frame");
        frame
    }

    fn payload(frame: &[u8]) -> Vec<u8> {
        match SlicedPacket::from_ethernet(frame).expect("a frame").transport {
            Some(TransportSlice::Udp(udp)) => udp.payload().to_vec(),
            other => panic!("no datagram: {other:?}"),
        }
    }

    fn dhcp(machine: u8, kind: MessageType, wanted: Option<Ipv4Addr>) -> Option<Message> {
        let mut message = Message::default();
        message.set_chaddr(&mac(machine)).set_xid(7).opts_mut().insert(DhcpOption::MessageType(kind));
        if let Some(wanted) = wanted {
            message.opts_mut().insert(DhcpOption::RequestedIpAddress(wanted));
        }
        let bytes = message.to_vec().expect("a message");
        let frame = udp(machine, Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, (68, 67), &bytes);
        let answer = station().answer(&frame)?;
        Some(Message::decode(&mut Decoder::new(&payload(&answer))).expect("a message"))
    }

    fn names(name: &str, kind: RecordType) -> Names {
        let mut question = Names::query();
        question.metadata.id = 9;
        question.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
        let bytes = question.to_vec().expect("a message");
        let answer = station().answer(&udp(1, address(1), ADDRESS, (4000, 53), &bytes)).expect("an answer");
        let answer = Names::from_vec(&payload(&answer)).expect("a message");
        assert_eq!(answer.metadata.id, 9);
        answer
    }

    #[test]
    fn a_machine_gets_the_address_of_its_number_and_no_router() {
        let offer = dhcp(2, MessageType::Discover, None).expect("an offer");
        assert_eq!((offer.opts().msg_type(), offer.yiaddr()), (Some(MessageType::Offer), address(2)));
        let servers = Some(&DhcpOption::DomainNameServer(vec![ADDRESS]));
        assert_eq!(offer.opts().get(OptionCode::DomainNameServer), servers);
        assert_eq!(offer.opts().get(OptionCode::Hostname), Some(&DhcpOption::Hostname("Two".to_owned())));
        assert!(offer.opts().get(OptionCode::Router).is_none());
        let answers = [(address(2), MessageType::Ack), (address(1), MessageType::Nak)];
        for (wanted, kind) in answers {
            let answer = dhcp(2, MessageType::Request, Some(wanted)).expect("an answer");
            assert_eq!(answer.opts().msg_type(), Some(kind), "{wanted}");
        }
        // Nobody of the test's.
        assert!(dhcp(3, MessageType::Discover, None).is_none());
    }

    #[test]
    fn names_of_machines_have_addresses_and_others_are_refused() {
        let found = names("two.", RecordType::A);
        assert_eq!(found.answers[0].data, RData::A(address(2).into()));
        let none = names("one.", RecordType::AAAA);
        assert_eq!((none.metadata.response_code, none.answers.len()), (ResponseCode::NoError, 0));
        for name in ["three.", "one.example.org.", "."] {
            assert_eq!(names(name, RecordType::A).metadata.response_code, ResponseCode::Refused, "{name}");
        }
    }

    #[test]
    fn the_stations_own_address_is_told_and_no_other() {
        let ask = |wanted: Ipv4Addr| {
            let question = ArpEthIpv4Packet {
                operation: ArpOperation::REQUEST,
                sender_mac: mac(1),
                sender_ipv4: address(1).octets(),
                target_mac: [0; 6],
                target_ipv4: wanted.octets(),
            };
            let mut frame = Vec::new();
            let builder = PacketBuilder::ethernet2(mac(1), [0xff; 6]).arp(question.to_arp_packet());
            builder.write(&mut frame).expect("a frame");
            station().answer(&frame)
        };
        assert_eq!(&ask(ADDRESS).expect("an answer")[..12], [mac(1), mac(STATION)].concat());
        assert_eq!(ask(address(2)), None);
    }

    #[test]
    fn what_makes_no_sense_is_not_answered() {
        let whole = udp(1, Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, (68, 67), &[1; 300]);
        for end in 0..whole.len() {
            assert_eq!(station().answer(&whole[..end]), None, "{end}");
        }
        assert_eq!(station().answer(&whole), None);
        assert_eq!(station().answer(&udp(1, address(1), ADDRESS, (4000, 53), &[0xff; 40])), None);
    }
}
