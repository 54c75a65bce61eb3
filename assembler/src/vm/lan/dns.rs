//! What a name server says that knows nothing but machines' names: a message in, its answer out.

use std::net::Ipv4Addr;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};

/// For how long an answer is good, in seconds: names do not change while machines run.
const GOOD: u32 = 60;

/// Answer one question.
///
/// In: `find`, which gives the address of a name of one label. Out: the address; nothing of other types that a known name has; for any other
/// name that it is not answered for, so that a resolver asks its next server. Nothing for what is no question.
///
/// # Source
///
/// RFC 1035, 4.1.
pub(super) fn answer(question: &[u8], find: impl Fn(&str) -> Option<Ipv4Addr>) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).ok()?;
    if question.metadata.message_type != MessageType::Query || question.metadata.op_code != OpCode::Query {
        return None;
    }
    let [query] = question.queries.as_slice() else { return None };
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.add_query(query.clone());
    let name = query.name().to_ascii();
    match find(name.trim_end_matches('.')).filter(|_| query.query_class() == DNSClass::IN) {
        None => answer.metadata.response_code = ResponseCode::Refused,
        Some(address) => {
            answer.metadata.authoritative = true;
            if query.query_type() == RecordType::A {
                answer.add_answer(Record::from_rdata(query.name().clone(), GOOD, RData::A(address.into())));
            }
        }
    }
    answer.to_vec().ok()
}
