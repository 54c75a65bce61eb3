//! Manifests from files, standard input and the web, and the verbs that only read them.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use crate::harness::{Client, Registry, Wants, succeeds};
use crate::server::{Reply, Server};

/// Run the program, and give its exit code, what it printed, and what it complained.
fn hullkit(args: &[&str], input: &str) -> (i32, String, String) {
    let client = Client::new();
    let mut command = client.hullkit(args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn git(folder: &Path, args: &[&str]) -> String {
    let who = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
    let output = succeeds(Command::new("git").arg("-C").arg(folder).args(who).args(args));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_manifest_comes_from_the_web_and_its_login_goes_nowhere_else() {
    let elsewhere = Arc::new(Server::start(|_, _| Reply::new(200, b"hostname: far\n")));
    let target = elsewhere.address;
    let server = Server::start(move |request, _| match request.path.as_str() {
        "/near.yml" => Reply::new(200, b"hostname: near\n"),
        "/wrong.yml" => Reply::new(200, b"\nhostnme: x\n"),
        "/away.yml" => Reply::new(302, b"").header("Location", format!("http://{target}/far.yml")),
        "/circle.yml" => Reply::new(302, b"").header("Location", "/circle.yml"),
        "/long.yml" => Reply::new(200, &vec![b' '; 4 << 20 | 1]),
        _ => Reply::new(404, b"hostname: nobody\n"),
    });
    let at = |path: &str| format!("http://me:secret@{}{path}", server.address);
    let shown = |path: &str| format!("http://{}{path}", server.address);
    let (code, said, _) = hullkit(&["config", "--as-written", &at("/near.yml"), &at("/away.yml")], "");
    assert_eq!((code, said.as_str()), (0, "hostname: far\n"));
    assert!(server.requests()[0].headers["authorization"].starts_with("Basic "));
    let asked = elsewhere.requests();
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].headers.contains_key("authorization") && !asked[0].headers.contains_key("referer"), "{asked:?}");
    for (path, want) in [
        ("/none.yml", format!("could not fetch `{}`: the server answered 404 Not Found", shown("/none.yml"))),
        ("/circle.yml", "it redirects in circles".to_owned()),
        ("/long.yml", "it is longer than 4 MiB".to_owned()),
        ("/wrong.yml", format!("{}:2:1: `hostnme` is not a section", shown("/wrong.yml"))),
    ] {
        let (code, _, complaint) = hullkit(&["config", &at(path)], "");
        assert!(code == 1 && complaint.contains(&want) && !complaint.contains("secret"), "{path}: {complaint}");
    }
    let (code, _, complaint) = hullkit(&["build", "--offline", &at("/near.yml")], "");
    assert!(code == 1 && complaint.contains("no network may be used"), "{complaint}");
    let (code, _, complaint) = hullkit(&["config", "http://127.0.0.1:1/x.yml"], "");
    assert!(code == 1 && complaint.contains("hint: check the address"), "{complaint}");
}

#[test]
fn a_private_authority_is_trusted_if_it_is_named() {
    let server = Registry::start(Wants::Tls);
    let url = format!("https://{}/v2/", server.address);
    let (code, _, complaint) = hullkit(&["config", &url], "");
    assert!(code == 1 && complaint.contains("hint: `--cert-file CA.pem`"), "{complaint}");
    let authority = server.file("ca.pem");
    // What a registry answers there is `{}`: an empty manifest.
    let (code, said, complaint) = hullkit(&["--cert-file", authority.to_str().unwrap(), "config", &url], "");
    assert_eq!((code, said.as_str()), (0, "init:\n  - builtin\n"), "{complaint}");
}

#[test]
fn packages_beside_the_manifest_stand_for_their_images() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (package, recipe) in [("plain", "image: plain\n"), ("own", "org: us\nimage: own\ntag: v1\nrootfs: {}\n")] {
        fs::create_dir_all(at("pkg").join(package)).unwrap();
        fs::write(at("pkg").join(package).join("build.yml"), recipe).unwrap();
    }
    fs::create_dir(at("sub")).unwrap();
    let manifest = "init: ['@pkg:../pkg/plain', '@pkg:../pkg/own']\nfiles: [{path: a, contents: '@other'}]\n";
    fs::write(at("sub/host.yml"), manifest).unwrap();
    git(folder.path(), &["init", "-q"]);
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-q", "-m", "a"]);
    let tree = git(folder.path(), &["rev-parse", "HEAD:pkg/plain"]);
    let path = at("sub/host.yml").display().to_string();
    let (code, said, complaint) = hullkit(&["config", "--as-written", &path], "");
    assert_eq!(code, 0, "{complaint}");
    let images = format!("init:\n  - docker.io/linuxkit/plain:{tree}\n  - docker.io/us/own:v1\n");
    assert!(said.starts_with(&images) && said.contains("contents: \"@other\""), "{said}");
    let (_, shown, _) = hullkit(&["pkg", "show-tag", "--canonical", at("pkg/own").to_str().unwrap()], "");
    assert_eq!(shown, "docker.io/us/own:v1\n");
    fs::write(at("pkg/plain/new"), "x").unwrap();
    let (_, said, _) = hullkit(&["config", &path], "");
    assert!(said.contains(&format!("linuxkit/plain:{tree}-dirty-b89e37d")), "{said}");
    fs::write(at("sub/host.yml"), "init: ['@pkg:../pkg/none', '@pkg:../pkg/bad']\n").unwrap();
    fs::create_dir(at("pkg/bad")).unwrap();
    fs::write(at("pkg/bad/build.yml"), "imag: x\n").unwrap();
    let (code, said, _) = hullkit(&["lint", &path], "");
    assert_eq!((code, said.matches("error[package]").count()), (1, 2), "{said}");
    assert!(said.contains("there is no `") && said.contains("`imag` is not a key"), "{said}");
}

#[test]
fn lint_tells_all_of_all_files_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let good = write("good.yml", "services: [{name: a, image: b, binds: ['v:/v']}]\n");
    let bad = write("bad.yml", "servces: []\nfiles: [{path: x, mode: 0644}]\n");
    let volume = write("volume.yml", "volumes: [{name: v}]\n");
    let (code, said, complaint) = hullkit(&["lint", &good, &bad, "/nonexistent.yml"], "");
    assert_eq!((code, complaint.as_str()), (1, "4 errors, 1 warning\n"), "{said}");
    for want in
        ["error[unknown-key]: ", "error[wrong-type]: ", "error[unreadable]: /nonexistent.yml: ", "warning[no-tag]: "]
    {
        assert_eq!(said.matches(want).count(), 1, "{want}\n{said}");
    }
    let (code, said, _) = hullkit(&["lint", "--json", &volume, &good], "");
    let rows: serde_json::Value = serde_json::from_str(&said).unwrap();
    let want = serde_json::json!([{
        "file": good, "line": 1, "column": 29, "severity": "warning", "code": "no-tag",
        "message": "`b` has neither tag nor digest: it is whatever `latest` is today",
        "line_text": "services: [{name: a, image: b, binds: ['v:/v']}]",
        "help": "name:tag, or name@sha256:… for equal builds",
    }]);
    assert_eq!((code, rows), (0, want));
    // What each of the other verbs says of the same files.
    let (code, _, complaint) = hullkit(&["plan", &good, &bad, "/nonexistent.yml"], "");
    assert!(code == 1 && complaint.contains("bad.yml:1:1") && complaint.contains("/nonexistent.yml"), "{complaint}");
    assert_eq!(hullkit(&["lint", &good], "").0, 1, "the volume is missing");
    assert_eq!(hullkit(&["lint", "-", &good], "volumes: [{name: v}]").0, 0);
    let (code, said, _) = hullkit(&["lint", "-", "-"], "{}");
    assert!(code == 1 && said.contains("name it once"), "{said}");
    assert_eq!(hullkit(&["-q", "lint", "--portable", "-"], "hostname: a\n"), (0, String::new(), String::new()));
    let (code, said, _) = hullkit(&["lint", "--portable", "-"], "hostname: a\n");
    assert!(code == 0 && said.starts_with("warning[own-key]: <stdin>:1:1: `hostname`"), "{said}");
}

#[test]
fn what_config_prints_means_the_same() {
    let text =
        "kernel: {image: k}\nservices: [{name: a, image: b}]\nfiles: [{path: x, contents: ''}]\nnetwork: {e*: {}}\n";
    let (_, yaml, _) = hullkit(&["config", "-"], text);
    assert_eq!(hullkit(&["config", "-"], &yaml).1, yaml);
    let (_, json, _) = hullkit(&["config", "--json", "-"], text);
    assert_eq!(hullkit(&["config", "-"], &json).1, yaml);
    for part in
        ["binary: kernel\n", "tar: kernel.tar\n", "mode: \"0600\"\n", "image: docker.io/library/b\n", "- builtin\n"]
    {
        assert!(yaml.contains(part), "{part}\n{yaml}");
    }
    let (_, schema, _) = hullkit(&["schema"], "");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&schema).unwrap(), linuxkit_yaml::schema());
}
