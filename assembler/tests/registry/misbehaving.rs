//! Against servers that redirect, break off, stall, overflow and beg for patience.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hullkit::pull::PullError;

use crate::harness::Client;
use crate::image::{Image, Layer, Packing};
use crate::server::{Reply, Request, Server, registry};

/// An image of one layer, and a server that answers for its blob as `blob` says.
fn serving(blob: impl Fn(&Layer, &Request, usize) -> Reply + Send + Sync + 'static) -> (Layer, Server) {
    let layer = Layer::new(5, 400_000, Packing::Gzip);
    let (image, served) = (Image::new("amd64", std::slice::from_ref(&layer)), layer.clone());
    let server = Server::start(move |request, before| {
        registry(&image, &served, request).unwrap_or_else(|| blob(&served, request, before))
    });
    (layer, server)
}

fn blob_requests(server: &Server, layer: &Layer) -> Vec<Request> {
    let ours = |request: &Request| request.path.ends_with(&layer.digest().to_string());
    server.requests().into_iter().filter(ours).collect()
}

#[test]
fn a_login_does_not_follow_a_redirect_to_another_host() {
    let layer = Layer::new(5, 400_000, Packing::Gzip);
    let image = Image::new("amd64", std::slice::from_ref(&layer));
    let bytes = layer.blob.clone();
    let elsewhere = Arc::new(Server::start(move |_, _| Reply::new(200, &bytes)));
    let (target, served) = (elsewhere.address, layer.clone());
    let server = Server::start(move |request, _| {
        if !request.headers.contains_key("authorization") {
            return Reply::new(401, b"{}").header("WWW-Authenticate", "Basic realm=\"test\"");
        }
        registry(&image, &served, request).unwrap_or_else(|| {
            Reply::new(307, b"").header("Location", format!("http://{target}/bucket/blob?X-Signature=hidden"))
        })
    });
    let (mut client, docker) = (Client::new(), tempfile::tempdir().unwrap());
    let config = format!(r#"{{"auths": {{"{}": {{"auth": "dXNlcjpzZWNyZXQ="}}}}}}"#, server.address);
    fs::write(docker.path().join("config.json"), config).unwrap();
    client.options.docker_config = Some(docker.path().to_owned());
    assert_eq!(client.pull(&server.name("image:1")).unwrap().1.blobs, 1);
    let followed = elsewhere.requests();
    assert_eq!(followed.len(), 1);
    assert!(!followed[0].headers.contains_key("authorization"), "{:?}", followed[0].headers);
}

#[test]
fn the_address_a_redirect_leads_to_is_in_no_message() {
    let elsewhere = Server::start(|_, _| Reply::new(403, b"<Error>AccessDenied</Error>"));
    let target = elsewhere.address;
    let (_, server) =
        serving(move |_, _, _| Reply::new(307, b"").header("Location", format!("http://{target}/?X-Signature=hidden")));
    let (error, hint) = Client::new().refused(&server.name("image:1"));
    let said = format!("{error} {error:?} {hint}");
    assert!(matches!(error, PullError::Denied { .. }) && !said.contains("hidden"), "{said}");
}

#[test]
fn a_transfer_that_broke_off_goes_on_where_it_stopped() {
    let (layer, server) = serving(|layer, request, _| match request.headers.get("range") {
        None => Reply { announced: Some(layer.blob.len()), ..Reply::new(200, &layer.blob[..150_000]) },
        Some(range) => {
            let from: usize =
                range.strip_prefix("bytes=").and_then(|it| it.strip_suffix('-')).unwrap().parse().unwrap();
            Reply::new(206, &layer.blob[from..])
        }
    });
    let client = Client::new();
    assert_eq!(client.pull(&server.name("image:1")).unwrap().1.blobs, 1);
    let asked = blob_requests(&server, &layer);
    assert_eq!((asked.len(), asked[1].headers["range"].as_str()), (2, "bytes=150000-"));
    client.check();
}

#[test]
fn a_server_that_cannot_resume_sends_all_of_it_again() {
    let (layer, server) = serving(|layer, _, before| match before {
        0 => Reply { announced: Some(layer.blob.len()), ..Reply::new(200, &layer.blob[..150_000]) },
        _ => Reply::new(200, &layer.blob),
    });
    let client = Client::new();
    assert_eq!(client.pull(&server.name("image:1")).unwrap().1.bytes, layer.blob.len() as u64);
    client.check();
}

#[test]
fn a_busy_server_is_asked_again_and_a_broken_one_not_for_ever() {
    let (layer, server) = serving(|layer, _, before| match before {
        0 => Reply::new(503, b"later"),
        1 => Reply::new(429, br#"{"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}"#),
        _ => Reply::new(200, &layer.blob),
    });
    assert_eq!(Client::new().pull(&server.name("image:1")).unwrap().1.blobs, 1);
    assert_eq!(blob_requests(&server, &layer).len(), 3);

    let (layer, server) = serving(|_, _, _| Reply::new(500, b"no \x1b[31mgood"));
    let (error, _) = Client::new().refused(&server.name("image:1"));
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "HTTP status 500 no [31mgood");
    assert_eq!(blob_requests(&server, &layer).len(), 4);
}

#[test]
fn a_blob_longer_than_announced_is_cut_off() {
    let (layer, server) = serving(|layer, _, _| Reply {
        announced: Some(usize::MAX >> 1),
        ..Reply::new(200, &[&layer.blob[..], &[0; 2_000_000]].concat())
    });
    let (error, _) = Client::new().refused(&server.name("image:1"));
    assert!(
        matches!(error, PullError::Length { want, got, .. } if want == layer.blob.len() as u64 && got > want),
        "{error:?}"
    );
}

#[test]
fn a_stalled_transfer_ends() {
    let (_, server) = serving(|layer, _, _| Reply {
        announced: Some(layer.blob.len()),
        silence: Duration::from_secs(60),
        ..Reply::new(200, &layer.blob[..1000])
    });
    let mut client = Client::new();
    client.options.stall = Duration::from_millis(200);
    let start = Instant::now();
    let (error, hint) = client.refused(&server.name("image:1"));
    assert!(matches!(error, PullError::Timeout { .. }) && hint.contains("again"), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn manifests_that_make_no_sense_are_refused_with_a_reason() {
    let bomb = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    for (body, want) in [
        (bomb.as_str(), "malformed"),
        ("not json", "malformed"),
        (r#"{"schemaVersion": 1, "fsLayers": []}"#, "schema 1"),
        (r#"{"schemaVersion": 2}"#, "neither an image's nor an index"),
        (r#"{"schemaVersion": 2, "manifests": []}"#, "it has none at all"),
        (r#"{"schemaVersion": 2, "mediaType": "application/vnd.example"}"#, "`application/vnd.example`"),
    ] {
        let body = body.to_owned();
        let server = Server::start(move |_, _| Reply::new(200, body.as_bytes()));
        let (error, _) = Client::new().refused(&server.name("image:1"));
        assert!(error.to_string().contains(want), "{error}");
    }
}

#[test]
fn a_token_that_is_none_is_refused() {
    let server = Server::start(|request, _| {
        if request.path.starts_with("/token") {
            return Reply::new(200, br#"{"token": "a\nb"}"#);
        }
        let host = &request.headers["host"];
        Reply::new(401, b"").header("WWW-Authenticate", format!("Bearer realm=\"http://{host}/token\",service=\"x\""))
    });
    let (error, _) = Client::new().refused(&server.name("image:1"));
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "its token is malformed");
}

#[test]
fn an_endless_manifest_is_not_read_to_its_end() {
    let server = Server::start(|request, _| match request.path.contains("/manifests/") {
        true => Reply { announced: Some(usize::MAX >> 1), ..Reply::new(200, &vec![b' '; 9 << 20]) },
        false => Reply::new(200, b"{}"),
    });
    let (error, _) = Client::new().refused(&server.name("image:1"));
    assert!(error.to_string().ends_with("its manifest is longer than 8388608 bytes"), "{error}");
}

#[test]
fn a_registry_that_says_when_to_come_back_is_asked_then() {
    let server = Server::start(|request, before| match request.path.contains("/manifests/") {
        true if before == 0 => Reply::new(429, b"{}").header("Retry-After", "1"),
        true => Reply::new(404, b"{}"),
        false => Reply::new(200, b"{}"),
    });
    let start = Instant::now();
    let (error, _) = Client::new().refused(&server.name("image:1"));
    assert!(matches!(error, PullError::Absent { .. }), "{error:?}");
    assert!((900..2000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}

#[test]
fn a_token_is_fetched_with_the_login_and_shown_for_everything_else() {
    let layer = Layer::new(5, 400_000, Packing::Gzip);
    let (image, served) = (Image::new("amd64", std::slice::from_ref(&layer)), layer.clone());
    let server = Server::start(move |request, _| {
        let (host, login) = (&request.headers["host"], request.headers.get("authorization").map(String::as_str));
        if request.path.starts_with("/token") {
            let asked = "/token?scope=repository%3Asome%2Fimage%3Apull&service=test";
            let good = login == Some("Basic dXNlcjpzZWNyZXQ=") && request.path == asked;
            return if good { Reply::new(200, br#"{"token": "opaque"}"#) } else { Reply::new(401, b"") };
        }
        if login != Some("Bearer opaque") {
            let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"test\"");
            return Reply::new(401, b"").header("WWW-Authenticate", challenge);
        }
        registry(&image, &served, request).unwrap_or_else(|| Reply::new(200, &served.blob))
    });
    let (mut client, docker) = (Client::new(), tempfile::tempdir().unwrap());
    client.options.docker_config = Some(docker.path().to_owned());
    let (error, _) = client.refused(&server.name("some/image:1"));
    assert!(matches!(error, PullError::Denied { anonymous: true, .. }), "{error:?}");
    let config = format!(r#"{{"auths": {{"{}": {{"auth": "dXNlcjpzZWNyZXQ="}}}}}}"#, server.address);
    fs::write(docker.path().join("config.json"), config).unwrap();
    assert_eq!(client.pull(&server.name("some/image:1")).unwrap().1.blobs, 1);
    let tokens = server.requests().iter().filter(|request| request.path.starts_with("/token")).count();
    assert_eq!(tokens, 2);
}
