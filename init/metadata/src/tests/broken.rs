//! Servers that are slow, say no, lead in circles, send too much or too little.

use std::io::Write;
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::server::{Request, Server, answer};
use crate::error::Refusal;
use crate::provider::{aws, gcp, hetzner};
use hullkit_init::chain::chain;

/// Ask as if Google's server answered so. Out: the refusal, and how long it took.
fn refused(reply: impl Fn(&Request, &mut TcpStream) + Send + 'static) -> (Refusal, Duration) {
    let server = Server::start(reply);
    let start = Instant::now();
    let refusal = gcp::ask(server.client()).expect_err("no answer");
    (refusal, start.elapsed())
}

fn send(bytes: Vec<u8>) -> impl Fn(&Request, &mut TcpStream) {
    move |_, connection| {
        // Who has heard enough closes the connection.
        let _ = connection.write_all(&bytes);
    }
}

#[test]
fn an_error_may_pass_and_a_refusal_does_not() {
    for (status, passes) in [(500, true), (503, true), (429, true), (403, false), (401, false), (404, false)] {
        let (refusal, _) = refused(send(answer(status, "", b"")));
        assert!(matches!(refusal, Refusal::Status { .. }), "{refusal}");
        assert_eq!(refusal.may_pass(), passes, "{status}");
    }
}

#[test]
fn redirects_are_not_followed() {
    let server = Server::start(|_, connection| {
        let _ = connection.write_all(&answer(302, "Location: /elsewhere\r\n", b""));
    });
    let refusal = gcp::ask(server.client()).expect_err("no answer");
    assert!(matches!(refusal, Refusal::Redirect { .. }) && !refusal.may_pass(), "{refusal}");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn too_much_is_not_read_to_its_end() {
    let (refusal, _) = refused(send(answer(200, "", &vec![b' '; 3 << 20])));
    assert!(chain(&refusal).contains("limit"), "{}", chain(&refusal));
    let (refusal, _) = refused(send([b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 1 << 20]].concat()));
    assert!(matches!(refusal, Refusal::Connection { .. }), "{refusal}");
}

#[test]
fn too_little_is_no_answer() {
    let mut half = answer(200, "", br#"{"instance": {"hostname": "half"}}"#);
    half.truncate(half.len() - 5);
    let (refusal, _) = refused(send(half));
    assert!(matches!(refusal, Refusal::Connection { .. }) && refusal.may_pass(), "{refusal}");
    let (refusal, _) = refused(send(answer(200, "", br#"{"instance": {"hostname": "#)));
    assert!(matches!(refusal, Refusal::Nonsense { .. }), "{refusal}");
    let (refusal, _) = refused(send(Vec::new()));
    assert!(matches!(refusal, Refusal::Connection { .. }), "{refusal}");
}

#[test]
fn whoever_is_slow_is_left() {
    let (refusal, took) = refused(|_, connection| {
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
        // One byte now and then, until nobody listens.
        while connection.write_all(b" ").is_ok() {
            sleep(Duration::from_millis(50));
        }
    });
    assert!(chain(&refusal).contains("timeout"), "{}", chain(&refusal));
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn what_is_no_text_is_no_name() {
    let server = Server::start(|_, connection| {
        let _ = connection.write_all(&answer(200, "", b"\xff\xfe"));
    });
    let refusal = hetzner::ask(&server.client()).expect_err("no answer");
    assert!(refusal.to_string().contains("it is no text"), "{refusal}");
    // A token that would break the head of the next question is none.
    let server = Server::start(|request, connection| {
        let body: &[u8] = if request.method == "PUT" { b"a\r\nX-Evil: b" } else { b"x" };
        let _ = connection.write_all(&answer(200, "", body));
    });
    aws::ask(server.client()).expect("an answer");
    assert!(server.asked().iter().all(|request| request.header("x-evil").is_none()));
}
