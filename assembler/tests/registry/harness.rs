//! A registry, a proxy in front of it, the `hullkit` program; all end with the test.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use hullkit::pull::{JOBS, PullError, Pulled, Registries, RegistryOptions, Resolved, Silent, Source, fetch};
use hullkit::store::Store;
use linuxkit_yaml::Reference;
use tempfile::TempDir;

use crate::image::ARCH;

/// `user` with the password `secret`, as `htpasswd -B` writes it.
const HTPASSWD: &str = "user:$2y$04$Drc2ScMY8dqixf0xhXbUDO9QzPobCGS3qnOviW2f4pRu.GpWpW4aW\n";

/// A running registry; its storage is a folder.
pub(crate) struct Registry {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

/// What a registry asks of its clients.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Wants {
    Nothing,
    Login,
    Tls,
}

impl Registry {
    pub(crate) fn start(wants: Wants) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage:\n  filesystem: {{rootdirectory: {root}}}\n  cache: {{}}\nhttp:\n  addr: {address}\n",
            root = folder.path().join("storage").display(),
        );
        if wants == Wants::Login {
            let path = folder.path().join("htpasswd");
            fs::write(&path, HTPASSWD).unwrap();
            config += &format!("auth:\n  htpasswd: {{realm: test, path: {}}}\n", path.display());
        }
        if wants == Wants::Tls {
            certificates(folder.path());
            let path = |name| folder.path().join(name).display().to_string();
            config += &format!("  tls: {{certificate: {}, key: {}}}\n", path("server.pem"), path("server.key"));
        }
        let path = folder.path().join("config.yml");
        fs::write(&path, config).unwrap();
        let child =
            Command::new("docker-registry").arg("serve").arg(&path).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let registry = Self { child: child.expect("docker-registry is installed"), address, folder };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "the registry does not start");
            thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    /// Copy an image layout into the registry with skopeo.
    pub(crate) fn fill(&self, layout: &Path, name: &str, more: &[&str]) {
        let mut command = Command::new("skopeo");
        command.args(["--insecure-policy", "copy", "--quiet", "--all", "--dest-tls-verify=false"]).args(more);
        command.arg(format!("oci:{}:1", layout.display())).arg(format!("docker://{}/{name}", self.address));
        succeeds(&mut command);
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the registry keeps a blob.
    pub(crate) fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap();
        self.file("storage/docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data")
    }

    pub(crate) fn name(&self, image: &str) -> Reference {
        format!("{}/{image}", self.address).parse().unwrap()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Make an authority and a certificate for 127.0.0.1.
fn certificates(folder: &Path) {
    let openssl =
        |args: &[&str]| succeeds(Command::new("openssl").args(args).current_dir(folder).stderr(Stdio::null()));
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    let ca = ["req", "-x509", "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.pem"];
    openssl(&[&ca[..], &key].concat());
    let server = [
        "req",
        "-x509",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-subj",
        "/CN=registry",
        "-keyout",
        "server.key",
        "-out",
        "server.pem",
    ];
    let extensions = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"];
    openssl(&[&server[..], &key, &extensions].concat());
}

/// Find a port that nobody uses right now.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub(crate) fn succeeds(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A store and ways to reach registries.
pub(crate) struct Client {
    pub(crate) folder: TempDir,
    pub(crate) options: RegistryOptions,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), options: RegistryOptions::default() }
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(self.folder.path()).unwrap()
    }

    /// Resolve and fetch.
    pub(crate) fn pull(&self, name: &Reference) -> Result<(Resolved, Pulled), PullError> {
        let (store, registries) = (self.store(), Registries::new(self.options.clone()));
        let image = Source::new(&store, &registries).resolve(name, ARCH)?;
        let text = name.to_string();
        let images = [(text.as_str(), image.origin.as_ref(), hullkit::pull::sizes(&image.layers))];
        let pulled = fetch(images.into_iter(), &store, &registries, JOBS, &Silent)?;
        Ok((image, pulled))
    }

    /// Pull something that cannot be pulled. Out: the error and its hint; the store is left without a name and unspoilt.
    pub(crate) fn refused(&self, name: &Reference) -> (PullError, String) {
        let error = self.pull(name).unwrap_err();
        self.check();
        let text = error.to_string();
        assert!(!text.contains('\n') && text.len() < 300, "{text}");
        let hint = error.hint().unwrap_or_default();
        (error, hint)
    }

    /// Check that every blob hashes to its name, and that nothing half-done lies about.
    pub(crate) fn check(&self) {
        let store = self.store();
        for path in files(&store.root().join("blobs/sha256")) {
            let digest = hullkit::digest::Digest::of(&fs::read(&path).unwrap());
            assert_eq!(digest.hex(), path.file_name().unwrap().to_str().unwrap());
        }
        assert_eq!(files(&store.folder("tmp")), Vec::<PathBuf>::new());
    }

    /// Prepare to run the program on this store.
    pub(crate) fn hullkit(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hullkit"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.folder.path().join("home"));
        command.arg("--cache").arg(self.folder.path()).args(args);
        command
    }
}

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "sorted on the next line")]
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Passes bytes on to a registry, slowly if asked, and notes the requests.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
    passed: Arc<AtomicU64>,
}

impl Proxy {
    /// In: `rate`, bytes of answers per second and connection.
    pub(crate) fn start(target: SocketAddr, rate: Option<u64>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, passed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
        let proxy = Self { address, seen: Arc::clone(&seen), passed: Arc::clone(&passed) };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(target) else { continue };
                let (client_too, server_too) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (seen, passed) = (Arc::clone(&seen), Arc::clone(&passed));
                thread::spawn(move || pass(client, server, |bytes| seen.lock().unwrap().extend_from_slice(bytes)));
                thread::spawn(move || {
                    pass(server_too, client_too, |bytes| {
                        passed.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                        if let Some(rate) = rate {
                            thread::sleep(Duration::from_micros(bytes.len() as u64 * 1_000_000 / rate));
                        }
                    })
                });
            }
        });
        proxy
    }

    /// Bytes of answers so far.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Count requests that begin with `start`, and forget none.
    pub(crate) fn count(&self, start: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.windows(start.len()).filter(|window| *window == start.as_bytes()).count()
    }

    pub(crate) fn name(&self, image: &str) -> Reference {
        format!("{}/{image}", self.address).parse().unwrap()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, note: impl Fn(&[u8])) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        note(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let gone: io::Result<()> = to.shutdown(Shutdown::Write);
    drop(gone);
}
