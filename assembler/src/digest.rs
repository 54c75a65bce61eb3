//! A content digest: the name of every blob in the store.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest, written `sha256:` and 64 lower-case hex digits.
///
/// Holding one proves that it names a blob safely: its hex part is a legal file name and nothing else. Other algorithms of
/// the OCI specification are refused; no registry in use serves them.
///
/// Source: OCI image-spec 1.1, `descriptor.md`, "Digests".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a digest: want `sha256:` and 64 hex digits")]
pub struct DigestError(String);

impl Digest {
    /// Hash bytes that are all in memory.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Hash all that a reader gives.
    ///
    /// # Errors
    ///
    /// - Those of the reader.
    pub fn read(reader: impl Read) -> io::Result<Self> {
        let mut hashing = Hashing::new(io::sink());
        io::copy(&mut io::BufReader::with_capacity(256 << 10, reader), &mut hashing)?;
        Ok(hashing.finish().1)
    }

    /// Write the 64 hex digits, the blob's file name.
    #[must_use]
    pub fn hex(&self) -> String {
        use fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Write the first 12 hex digits, enough to tell the images of one host apart.
    #[must_use]
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }

    /// Give the raw 32 bytes, from which identifiers of an image are derived.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;
    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl FromStr for Digest {
    type Err = DigestError;
    fn from_str(text: &str) -> Result<Self, DigestError> {
        let refuse = || DigestError(text.chars().take(100).collect());
        let hex = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64).ok_or_else(refuse)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let digit = |c: u8| match c {
                b'0'..=b'9' => Some(c - b'0'),
                b'a'..=b'f' => Some(c - b'a' + 10),
                _ => None,
            };
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { return Err(refuse()) };
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

/// Hashes and counts what passes through, on its way in or out.
#[derive(Debug)]
pub struct Hashing<T> {
    inner: T,
    hash: Sha256,
    len: u64,
}

impl<T> Hashing<T> {
    /// Put a counter and a hash around `inner`.
    pub fn new(inner: T) -> Self {
        Self { inner, hash: Sha256::new(), len: 0 }
    }

    /// Give the number of bytes that have passed so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Tell whether nothing has passed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Stop, and give back the inner thing, the digest and the number of bytes.
    pub fn finish(self) -> (T, Digest, u64) {
        (self.inner, Digest(self.hash.finalize().into()), self.len)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.len += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_digest_of_nothing_is_the_published_one() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse::<Digest>().unwrap(), Digest::of(b""));
    }

    #[test]
    fn only_lower_case_sha256_is_a_digest() {
        for text in ["", "sha256:", "sha512:00", &EMPTY.to_uppercase(), &EMPTY[7..], "sha256:../../../../etc/passwd"] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }

    #[test]
    fn hashing_counts_both_ways() {
        let mut out = Hashing::new(Vec::new());
        io::copy(&mut Hashing::new(&b"abc"[..]), &mut out).unwrap();
        let (bytes, digest, len) = out.finish();
        assert_eq!((bytes.as_slice(), digest, len), (&b"abc"[..], Digest::of(b"abc"), 3));
    }
}
