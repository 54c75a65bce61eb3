//! How a layer's members are kept in the store, so that a layer is walked once and not at every build.
//!
//! ```text
//! "HKLI" version 1 | flags 1 | diff id 32     then, compressed as one zstd frame with its checksum:
//! 1 | kind 1 | shared, path | link | mode uid gid mtime size offset major minor | n * (name, value)      per member
//! 0 | number of members                                                                                  at the end
//! ```
//!
//! Numbers are LEB128; bytes follow their length; a path repeats the first `shared` bytes of the path before it.

use std::io::{self, Read, Write};

use crate::format::tar::{Kind, Member};

/// Longest byte string accepted when reading: an extended header is never longer.
const BYTES_MAX: u64 = 1 << 20;

/// Most members accepted when reading.
const MEMBERS_MAX: u64 = 2_000_000;

/// Kinds by their code.
const KINDS: [Kind; 7] =
    [Kind::File, Kind::HardLink, Kind::Symlink, Kind::Char, Kind::Block, Kind::Directory, Kind::Fifo];

/// Writes members.
#[derive(Debug)]
pub(crate) struct Encoder<W> {
    out: W,
    previous: Vec<u8>,
    members: u64,
}

impl<W: Write> Encoder<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, previous: Vec::new(), members: 0 }
    }

    pub(crate) fn append(&mut self, member: &Member) -> io::Result<()> {
        let code = KINDS.iter().position(|kind| *kind == member.kind).unwrap_or_default();
        let shared = member.path.iter().zip(&self.previous).take_while(|(new, old)| new == old).count();
        self.number(1)?;
        self.number(code as u64)?;
        self.number(shared as u64)?;
        self.bytes(&member.path[shared..])?;
        self.bytes(&member.link)?;
        for number in [member.mode, member.uid, member.gid] {
            self.number(u64::from(number))?;
        }
        // Zigzag, so that a time just before 1970 stays short.
        self.number((member.mtime << 1 ^ member.mtime >> 63).cast_unsigned())?;
        self.number(member.size)?;
        self.number(member.offset)?;
        self.number(u64::from(member.device.0))?;
        self.number(u64::from(member.device.1))?;
        self.number(member.xattrs.len() as u64)?;
        for (name, value) in &member.xattrs {
            self.bytes(name)?;
            self.bytes(value)?;
        }
        self.previous.clone_from(&member.path);
        self.members += 1;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.number(0)?;
        self.number(self.members)?;
        Ok(self.out)
    }

    fn number(&mut self, mut value: u64) -> io::Result<()> {
        let mut bytes = [0_u8; 10];
        let mut len = 0;
        for byte in &mut bytes {
            *byte = (value & 0x7f) as u8;
            value >>= 7;
            len += 1;
            if value == 0 {
                break;
            }
            *byte |= 0x80;
        }
        self.out.write_all(&bytes[..len])
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.number(bytes.len() as u64)?;
        self.out.write_all(bytes)
    }
}

/// Reads members back; anything that was not written by [`Encoder`] is an error, never a panic.
#[derive(Debug)]
pub(crate) struct Decoder<R> {
    inner: R,
    previous: Vec<u8>,
    members: u64,
}

impl<R: Read> Decoder<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, previous: Vec::new(), members: 0 }
    }

    /// Give back the stream, wherever it stands.
    pub(crate) fn into_inner(self) -> R {
        self.inner
    }

    /// Read the next member; `None` after the last.
    pub(crate) fn next_member(&mut self) -> io::Result<Option<Member>> {
        match self.number()? {
            0 if self.number()? == self.members => return Ok(None),
            1 if self.members < MEMBERS_MAX => {}
            _ => return Err(invalid()),
        }
        let code = usize::try_from(self.number()?).map_err(|_| invalid())?;
        let kind = *KINDS.get(code).ok_or_else(invalid)?;
        let shared = usize::try_from(self.number()?).map_err(|_| invalid())?;
        let mut path = self.previous.get(..shared).ok_or_else(invalid)?.to_vec();
        path.extend(self.bytes()?);
        let link = self.bytes()?;
        let (mode, uid, gid) = (self.small()?, self.small()?, self.small()?);
        let zigzag = self.number()?;
        let mtime = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        let (size, offset) = (self.number()?, self.number()?);
        let device = (self.small()?, self.small()?);
        let mut xattrs = Vec::new();
        for _ in 0..self.number()? {
            xattrs.push((self.bytes()?, self.bytes()?));
        }
        self.previous.clone_from(&path);
        self.members += 1;
        // What the tree of an image has no use for (fractions of a second, names of owners) is not kept.
        Ok(Some(Member { path, kind, mode, uid, gid, mtime, size, offset, link, device, xattrs, ..Member::default() }))
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let mut byte = [0];
            self.inner.read_exact(&mut byte)?;
            let bits = u64::from(byte[0] & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte[0] & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(invalid())
    }

    fn small(&mut self) -> io::Result<u32> {
        u32::try_from(self.number()?).map_err(|_| invalid())
    }

    fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let len = self.number()?;
        if len > BYTES_MAX {
            return Err(invalid());
        }
        let mut bytes = Vec::new();
        (&mut self.inner).take(len).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == len { Ok(bytes) } else { Err(invalid()) }
    }
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a layer index")
}
