//! Transfers from servers on the loopback that are not what they should be.

mod authority;
mod server;

use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::error::{Broken, chain};
use crate::{FetchError, Order, client, transfer};
use authority::Authority;
use server::{Request, Server, answer, head};

/// A root of which no two pieces are alike.
fn root() -> Vec<u8> {
    (0..100_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// How long a test waits for news.
const PATIENCE: Duration = Duration::from_millis(500);

/// Fetch from an address, at which [`root`] should lie, believing the authorities in `pem`, at a time that is not before `built`.
/// Out: what became of it, what is in the file, and what was said.
fn fetch_at(url: &str, pem: &[u8], built: u64) -> (Result<(), FetchError>, Vec<u8>, Vec<String>) {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("root.img");
    let wanted = root();
    let url = url.parse().expect("an address");
    let digest = Sha256::digest(&wanted).into();
    let order = Order { url, digest, size: wanted.len() as u64, built, patience: PATIENCE, file: file.clone() };
    let client = client::client_with(built, pem).expect("a client");
    let mut said = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let done = runtime.block_on(transfer::fetch_with(&client, &order, &mut |line: &str| said.push(line.to_owned())));
    (done, std::fs::read(file).unwrap_or_default(), said)
}

/// The same, from a server that answers in this way.
fn fetch(reply: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> (Result<(), FetchError>, Vec<u8>, Server) {
    let server = Server::start(reply);
    let (done, bytes, _) = fetch_at(&server.url("/root.img"), b"", 0);
    (done, bytes, server)
}

/// The part that was asked for, as a good server sends it.
fn part(request: &Request) -> Vec<u8> {
    let root = root();
    let from = request.from.unwrap_or_default();
    answer(206, &[("Content-Range", format!("bytes {from}-{}/{}", root.len() - 1, root.len()))], &root[from..])
}

#[test]
fn a_root_comes_whole_and_in_one_request() {
    let (done, bytes, server) = fetch(part);
    done.expect("a root");
    assert!(bytes == root());
    assert_eq!(server.asked(), [("/root.img".to_owned(), Some(0))]);
}

#[test]
fn a_broken_connection_is_gone_on_with_where_it_broke() {
    let (done, bytes, server) = fetch(|request| {
        let mut sent = part(request);
        sent.truncate(sent.len() / 2);
        if request.from > Some(390_000) { part(request) } else { sent }
    });
    done.expect("a root");
    assert!(bytes == root());
    let asked: Vec<_> = server.asked().into_iter().filter_map(|(_, from)| from).collect();
    assert!(asked.len() > 3 && asked.is_sorted() && asked[1] > 190_000, "{asked:?}");
}

#[test]
fn parts_that_are_shorter_than_asked_for_are_put_together() {
    let (done, bytes, _) = fetch(|request| {
        let (root, from) = (root(), request.from.unwrap_or_default());
        let end = (from + 150_000).min(root.len());
        answer(206, &[("Content-Range", format!("bytes {from}-{}/*", end - 1))], &root[from..end])
    });
    done.expect("a root");
    assert!(bytes == root());
}

#[test]
fn a_server_without_ranges_starts_anew() {
    let (done, bytes, server) = fetch(|request| {
        let mut sent = answer(200, &[], &root());
        if request.number == 0 {
            sent.truncate(sent.len() / 2);
        }
        sent
    });
    done.expect("a root");
    assert!(bytes == root());
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn an_answer_in_chunks_of_no_known_length_is_taken() {
    let (done, bytes, _) = fetch(|_| {
        let mut sent = head(200, &[("Transfer-Encoding", "chunked".to_owned())]);
        for chunk in root().chunks(70_000) {
            sent.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            sent.extend_from_slice(chunk);
            sent.extend_from_slice(b"\r\n");
        }
        sent.extend_from_slice(b"0\r\n\r\n");
        sent
    });
    done.expect("a root");
    assert!(bytes == root());
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let (done, ..) = fetch(|request| match request.number {
        0 => answer(503, &[], b""),
        1 => answer(429, &[], b""),
        _ => part(request),
    });
    done.expect("a root");
}

#[test]
fn a_server_that_sends_nothing_new_is_left() {
    let (done, ..) = fetch(|_| answer(200, &[], &root())[..5000].to_vec());
    let Err(FetchError::Stalled { last: Broken::Connection(_), .. }) = done else { panic!("{done:?}") };
    let (done, _, said) = fetch_at("http://127.0.0.1:1/root.img", b"", 0);
    let Err(FetchError::Stalled { last: Broken::Connection(_), .. }) = done else { panic!("{done:?}") };
    assert!(said[0].contains("Connection refused") && said[0].contains("going on at byte 0"), "{said:?}");
}

#[test]
fn what_no_further_try_could_help_ends_at_once() {
    let (done, _, server) = fetch(|_| answer(404, &[], b"nothing here"));
    assert_eq!(done.expect_err("no root").to_string(), "the server answered 404 Not Found");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn another_file_is_refused() {
    let size = root().len();
    let ranged = |range: String| move |_: &Request| answer(206, &[("Content-Range", range.clone())], &root());
    for (range, want) in [
        (format!("bytes 0-{}/{}", size, size + 1), format!("the server's file has {} bytes", size + 1)),
        (format!("bytes 1-{}/{size}", size - 1), "asked for the bytes from 0 on, the server sent `bytes 1-".to_owned()),
        (format!("bytes 0-{size}/*"), format!("the server sent `bytes 0-{size}/*`")),
        ("bytes 0-18446744073709551616/*".to_owned(), "the server sent `bytes 0-1844".to_owned()),
        (format!("bytes */{size}"), format!("the server sent `bytes */{size}`")),
        ("all".to_owned(), "the server sent `all`".to_owned()),
    ] {
        let (done, bytes, server) = fetch(ranged(range));
        let error = done.expect_err("another file");
        assert!(error.to_string().contains(&want) && error.is_other(), "{error}");
        assert!(bytes.is_empty() && server.asked().len() == 1);
    }
    let (done, ..) = fetch(|_| answer(200, &[], &root()[1..]));
    assert!(done.expect_err("too short").to_string().contains("has 399999 bytes"));
}

#[test]
fn more_than_the_root_is_never_written() {
    let mut long = root();
    long.extend_from_slice(b"more");
    let (done, bytes, _) = fetch(move |_| [head(200, &[("Connection", "close".to_owned())]), long.clone()].concat());
    let Err(FetchError::TooLong { size: 400_000 }) = done else { panic!("{done:?}") };
    assert!(bytes.len() <= root().len());
}

#[test]
fn one_wrong_byte_is_found() {
    let (done, ..) = fetch(|request| {
        let mut sent = part(request);
        let middle = sent.len() / 2;
        sent[middle] ^= 1;
        sent
    });
    let Err(FetchError::Digest { .. }) = done else { panic!("{done:?}") };
}

#[test]
fn redirects_are_followed_but_not_in_circles() {
    let (done, bytes, server) = fetch(|request| match request.path.as_str() {
        "/root.img" => answer(302, &[("Location", "/there.img".to_owned())], b""),
        _ => part(request),
    });
    done.expect("a root");
    assert!(bytes == root());
    assert_eq!(server.asked()[1], ("/there.img".to_owned(), Some(0)));
    let (done, _, server) = fetch(|_| answer(302, &[("Location", "/root.img".to_owned())], b""));
    let Err(FetchError::Address(_)) = done else { panic!("{done:?}") };
    assert_eq!(server.asked().len(), 6);
}

#[test]
fn a_head_without_end_is_not_read_on() {
    let (done, ..) = fetch(|_| [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &vec![b'x'; 8 << 20]].concat());
    let Err(FetchError::Stalled { last: Broken::Connection(_), .. }) = done else { panic!("{done:?}") };
}

#[test]
fn authorities_of_the_image_must_be_certificates() {
    client::client_with(0, b"").expect("a client");
    let broken = b"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n";
    assert!(matches!(client::client_with(0, broken), Err(FetchError::Setup(_))));
}

#[test]
fn https_believes_known_authorities_at_a_time_that_can_be() {
    let authority = Authority::new();
    let server = Server::start_tls(authority.server(), part);
    let url = server.url("/root.img");
    let (done, bytes, _) = fetch_at(&url, &authority.pem(), 0);
    done.expect("a root");
    assert!(bytes == root());
    let far = 1 << 40;
    for (pem, built, want) in [(Vec::new(), 0, "UnknownIssuer"), (authority.pem(), far, "certificate expired")] {
        let (done, ..) = fetch_at(&url, &pem, built);
        let error = chain(&done.expect_err("a stranger"));
        assert!(error.contains(want), "{error}");
    }
}

#[test]
fn https_does_not_lead_to_plain_http() {
    let (authority, plain) = (Authority::new(), Server::start(part));
    let there = plain.url("/root.img");
    let server = Server::start_tls(authority.server(), move |_| answer(302, &[("Location", there.clone())], b""));
    let (done, ..) = fetch_at(&server.url("/root.img"), &authority.pem(), 0);
    let error = chain(&done.expect_err("a redirect"));
    assert!(error.contains("from https to plain http") && plain.asked().is_empty(), "{error}");
}
