//! Keys that may log in: given when a host is built, for an SSH server that looks for them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use linuxkit_yaml::{Manifest, Mode, Spanned};

use super::ReadError;

/// Where they lie in the host's root, as `sshd`'s `authorized_keys` has them.
const PLACE: &str = "etc/hullkit/authorized_keys";

/// Longest file of keys, in bytes.
const LONGEST: u64 = 256 << 10;

/// What the name of a key's kind begins with (OpenSSH, sshd(8), "AUTHORIZED_KEYS FILE FORMAT").
const KINDS: [&str; 3] = ["ssh-", "ecdsa-sha2-", "sk-"];

/// Add the keys in these files to what a manifest puts into the host's root.
///
/// # Errors
///
/// - [`ReadError::Key`]: a file cannot be read, or holds something else than public keys.
pub fn add(manifest: &mut Manifest, paths: &[PathBuf]) -> Result<(), ReadError> {
    let mut all = String::new();
    for path in paths {
        let failed = |what: String| ReadError::Key { path: path.clone(), what };
        all.push_str(&keys(path).map_err(failed)?);
    }
    if all.is_empty() {
        return Ok(());
    }
    let text = |value: &str| Spanned::unplaced(value.to_owned());
    let mode = Mode { bits: 0o600, text: "0600".to_owned() };
    manifest.files.push(linuxkit_yaml::File {
        path: text(PLACE),
        contents: Some(text(&all)),
        mode: Some(Spanned::unplaced(mode)),
        ..linuxkit_yaml::File::default()
    });
    Ok(())
}

/// Read the public keys in a file, each with a line feed behind it.
fn keys(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|cause| cause.to_string())?;
    file.take(LONGEST).read_to_string(&mut text).map_err(|cause| cause.to_string())?;
    if text.contains("PRIVATE KEY") {
        return Err("it is a private key; give the file that ends in `.pub`".to_owned());
    }
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let is_key = |line: &&str| line.split_whitespace().any(|word| KINDS.iter().any(|kind| word.starts_with(kind)));
    match lines.iter().find(|line| !is_key(line)) {
        None if lines.is_empty() => Err("there is no key in it".to_owned()),
        None => Ok(lines.iter().map(|line| format!("{line}\n")).collect()),
        Some(line) => {
            let shown: String = line.chars().take(30).collect();
            Err(format!("`{shown}` is no public key, such as `ssh-ed25519 AAAA… name`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        keys(file.path())
    }

    #[test]
    fn only_public_keys_are_taken() {
        let key = "ssh-ed25519 AAAAC3Nz me";
        assert_eq!(
            read(&format!("# mine\n\n{key}\nno-pty sk-ssh-ed25519@openssh.com AAAA x")).unwrap().lines().count(),
            2
        );
        for (text, want) in [
            ("", "there is no key in it"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\n", "it is a private key; give the file that ends in `.pub`"),
            ("hello\n", "`hello` is no public key, such as `ssh-ed25519 AAAA… name`"),
        ] {
            assert_eq!(read(text).unwrap_err(), want);
        }
    }
}
