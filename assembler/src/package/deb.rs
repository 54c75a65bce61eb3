//! Debian's package file: an `ar` archive whose member `data.tar.*` holds the files.
//!
//! Source: deb(5); the header of a member: "ar archive file format", FreeBSD ar(5), "System V / GNU" flavour without long names.

use std::io::{self, Read};

use flate2::read::GzDecoder;
use lzma_rust2::XzReader;

/// Bytes at the start of every `ar` archive.
const MAGIC: &[u8; 8] = b"!<arch>\n";

/// Length of a member's header in bytes.
const HEADER: usize = 60;

/// Members that may stand before the one with the files; `debian-binary` and `control.tar` do.
const MEMBERS_MAX: usize = 16;

/// Unpacked bytes of one package; the largest packages of Debian hold about 3 GiB.
const UNPACKED_MAX: u64 = 8 << 30;

/// Memory the xz decoder may take, in KiB; dpkg writes dictionaries of at most 64 MiB.
const XZ_MEMORY_KIB: u32 = 192 << 10;

/// Find the files of a package.
///
/// In: `package`, a whole `.deb`. Out: the uncompressed tar of its files, at most 8 GiB; reading past that is an error.
///
/// # Errors
///
/// - [`io::ErrorKind::InvalidData`]: not a package, cut off, or compressed in a way Debian does not use; the text says which.
/// - Whatever reading `package` gives.
///
/// # Source
///
/// deb(5).
pub fn data<'a, R: Read + 'a>(mut package: R) -> io::Result<Box<dyn Read + 'a>> {
    let mut magic = [0; 8];
    package.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(refuse("it does not begin as an `ar` archive"));
    }
    for number in 0..MEMBERS_MAX {
        let (name, size) = header(&mut package)?;
        if number == 0 && name != "debian-binary" {
            return Err(refuse("its first member is not `debian-binary`"));
        }
        if let Some(suffix) = name.strip_prefix("data.tar") {
            let inner = decompress(suffix, package.take(size))?;
            return Ok(Box::new(Bounded { inner, left: UNPACKED_MAX }));
        }
        // Members begin at even offsets.
        let padded = size + size % 2;
        if io::copy(&mut package.by_ref().take(padded), &mut io::sink())? != padded {
            return Err(refuse("it ends inside a member"));
        }
    }
    Err(refuse("it has no member `data.tar`"))
}

/// Read one member's header: its name, without the padding, and its size in bytes.
fn header(package: &mut impl Read) -> io::Result<(String, u64)> {
    let mut bytes = [0; HEADER];
    package.read_exact(&mut bytes)?;
    let [fields @ .., b'`', b'\n'] = &bytes else { return Err(refuse("a member's header has no end mark")) };
    let field = |from: usize, to: usize| {
        fields.get(from..to).and_then(|field| std::str::from_utf8(field).ok()).map(str::trim_end)
    };
    let name = field(0, 16).ok_or_else(|| refuse("a member's name is not text"))?;
    let size = field(48, 58).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let size = size.and_then(|digits| digits.parse().ok()).ok_or_else(|| refuse("a member's size is not a number"))?;
    Ok((name.trim_end_matches('/').to_owned(), size))
}

/// Undo the compression that a member's name ends in.
fn decompress<'a>(suffix: &str, member: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match suffix {
        "" => Box::new(member),
        ".gz" => Box::new(GzDecoder::new(member)),
        ".xz" => Box::new(XzReader::new_mem_limit(member, true, XZ_MEMORY_KIB)),
        ".zst" => Box::new(zstd::Decoder::new(member)?),
        _ => return Err(refuse(&format!("its files are compressed as `{suffix}`; xz, zst and gz are known"))),
    })
}

/// Ends with an error, not silently, where the bound is reached.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| refuse("it unpacks to more than 8 GiB"))?;
        Ok(read)
    }
}

fn refuse(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn member(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut out = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", bytes.len()).into_bytes();
        out.extend(bytes);
        out.resize(out.len().next_multiple_of(2), b'\n');
        out
    }

    fn package(name: &str, bytes: &[u8]) -> Vec<u8> {
        [MAGIC.to_vec(), member("debian-binary", b"2.0\n"), member("control.tar.gz", b"odd"), member(name, bytes)]
            .concat()
    }

    fn read(package: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        data(package)?.take(1 << 20).read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn files_are_found_in_every_compression() {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gz.write_all(b"files").unwrap();
        let mut xz = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(6)).unwrap();
        xz.write_all(b"files").unwrap();
        for (name, bytes) in [
            ("data.tar", b"files".to_vec()),
            ("data.tar.gz", gz.finish().unwrap()),
            ("data.tar.xz", xz.finish().unwrap()),
            ("data.tar.zst/", zstd::encode_all(&b"files"[..], 3).unwrap()),
        ] {
            assert_eq!(read(&package(name, &bytes)).unwrap(), b"files", "{name}");
        }
    }

    #[test]
    fn what_is_no_package_is_refused_by_reason() {
        let good = package("data.tar", b"files");
        for (bytes, want) in [
            (b"!<thin>\n".to_vec(), "does not begin"),
            ([MAGIC.to_vec(), member("data.tar", b"")].concat(), "first member"),
            (package("data.tar.lzma", b""), "compressed as `.lzma`"),
            ([MAGIC.to_vec(), member("debian-binary", b"")].concat().repeat(1), "fill whole buffer"),
            (good[..90].to_vec(), "fill whole buffer"),
            (good.iter().map(|byte| if *byte == b'`' { b'x' } else { *byte }).collect(), "end mark"),
        ] {
            let error = read(&bytes).unwrap_err().to_string();
            assert!(error.contains(want), "{error} / {want}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes: Vec<u8>, cut in 0_usize..300) {
            let _ = read(&bytes);
            let mut package = package("data.tar.xz", &bytes);
            package.truncate(cut);
            let _ = read(&package);
            bytes.splice(0..0, *MAGIC);
            let _ = read(&bytes);
        }
    }
}
