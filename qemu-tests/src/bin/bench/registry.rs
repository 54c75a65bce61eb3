//! A build of 100 MB of layers from a real registry on the loopback, against unpacking and packing the same bytes.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::builds;
use crate::figure::{Figure, median};
use crate::script::{numbers, shell};
use qemu_tests::place::{self, Place};

/// Makes the image: files of this machine until their layers, four of them, hold 100 MB compressed.
///
/// In: the folder for the layout. Real files, because made-up ones flatter one compressor or the other.
const FILL: &str = r#"
set -eu
rm -rf "$1" "$1-kernel" "$1.root"
umoci init --layout "$1"
umoci new --image "$1:latest"
find /usr/lib /usr/share -xdev -type f -size +4k -size -20M -printf '%s %p\n' | LC_ALL=C sort -k 2 > "$1.files"
for n in 1 2 3 4; do
    # Some 95 MB of files become 25 MB or more.
    awk -v n="$n" 'NR % 4 == n - 1 && sum < 95e6 { sum += $1; sub(/^[0-9]+ /, ""); print }' "$1.files" > "$1.layer"
    tar -cPf "$1.tar" -T "$1.layer"
    umoci raw add-layer --image "$1:latest" "$1.tar"
done
# A kernel of a few bytes, since a build wants one: a real one would be timed too.
umoci init --layout "$1-kernel"
umoci new --image "$1-kernel:latest"
mkdir "$1.root"
echo no kernel > "$1.root/kernel"
tar -cf "$1.tar" -C "$1.root" kernel
umoci raw add-layer --image "$1-kernel:latest" "$1.tar"
rm -f "$1.tar" "$1.layer" "$1.files"
"#;

/// Unpacks every layer that is gzip and packs all of them as the build does.
const BASELINE: &str = r#"
for blob in "$1"/blobs/sha256/*; do gzip -t "$blob" 2>/dev/null && echo "$blob"; done > "$1.blobs"
start=$(date +%s.%N); xargs -d '\n' cat < "$1.blobs" | zcat | zstd -q -3 -c > /dev/null; end=$(date +%s.%N)
size=$(xargs -d '\n' cat < "$1.blobs" | wc -c)
echo "$start $end $size"
"#;

/// Fill a registry, build from it with an empty store, and do the same bytes by hand.
pub(crate) fn measure(place: &Place, work: &Path, runs: usize) -> anyhow::Result<Vec<Figure>> {
    let layout = work.join("hundred");
    eprintln!("making an image of 100 MB");
    shell(FILL, &[&layout])?;
    let registry = Registry::start(work)?;
    let image = registry.push(&layout, "hundred")?;
    let kernel = registry.push(&work.join("hundred-kernel"), "kernel")?;

    let manifest = work.join("hundred.yml");
    let text = format!(
        "kernel: {{image: '{kernel}', tar: none}}\nservices: [{{name: hundred, image: '{image}', command: [/bin/true]}}]\n"
    );
    fs::write(&manifest, text).context("could not write the manifest")?;
    let (mut ours, mut by_hand, mut peak, mut size) = (Vec::new(), Vec::new(), 0.0_f64, 0.0);
    for run in 1..=runs.div_ceil(2) {
        eprintln!("build {run} of {}", runs.div_ceil(2));
        let (cache, out) = (work.join("cache"), work.join("out"));
        place::empty(&cache)?;
        place::empty(&out)?;
        let cost = builds::build(place, &manifest, &out, &cache)?;
        ours.push(cost.seconds);
        peak = peak.max(cost.megabytes);
        let answer = shell(BASELINE, &[&layout])?;
        let [start, end, bytes] = numbers(&answer)[..] else { anyhow::bail!("the baseline said `{answer}`") };
        by_hand.push(end - start);
        size = bytes / 1e6;
    }
    let (ours, by_hand) = (median(ours), median(by_hand));
    Ok(vec![
        Figure { what: "layers in the loopback registry", value: size, unit: "MB", target: None },
        Figure { what: "zcat | zstd -3 of the same layers", value: by_hand, unit: "s", target: None },
        Figure { what: "build from the registry, empty store", value: ours, unit: "s", target: None },
        Figure { what: "the build over zcat | zstd -3", value: ours / by_hand, unit: "x", target: Some(1.5) },
        Figure { what: "peak memory of that build", value: peak, unit: "MB", target: Some(64.0) },
    ])
}

/// Debian's `docker-registry` on a free port of the loopback; it ends when this is dropped.
struct Registry {
    port: u16,
    process: Child,
}

impl Registry {
    fn start(work: &Path) -> anyhow::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?.local_addr()?.port();
        let blobs = work.join("registry");
        place::empty(&blobs)?;
        let config: PathBuf = work.join("registry.yml");
        // JSON is YAML, and quotes paths with spaces.
        let text = serde_json::json!({
            "version": 0.1, "log": { "level": "error", "accesslog": { "disabled": true } },
            "storage": { "filesystem": { "rootdirectory": blobs } }, "http": { "addr": format!("127.0.0.1:{port}") },
        });
        fs::write(&config, text.to_string()).context("could not write the registry's configuration")?;
        let log = fs::File::create(work.join("registry.log")).context("could not create the registry's log")?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).stdout(log.try_clone()?).stderr(log);
        let process = command.spawn().context("could not start `docker-registry` (Debian's package of that name)")?;
        let registry = Self { port, process };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            ensure!(Instant::now() < deadline, "`docker-registry` does not answer on port {port}");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }

    /// Fill in an image; return its reference.
    fn push(&self, layout: &Path, name: &str) -> anyhow::Result<String> {
        let reference = format!("127.0.0.1:{}/bench/{name}:latest", self.port);
        let mut command = Command::new("skopeo");
        command.args(["copy", "--quiet", "--dest-tls-verify=false"]);
        command.arg(format!("oci:{}:latest", layout.display())).arg(format!("docker://{reference}"));
        let status = command.status().context("could not start `skopeo` (Debian's package of that name)")?;
        ensure!(status.success(), "`skopeo` could not fill the registry");
        Ok(reference)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
