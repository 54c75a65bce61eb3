//! VMware's guestinfo, which the hypervisor keeps for each machine and gives out at an I/O port: on x86-64 alone.
//!
//! # Source
//!
//! cloud-init's documentation, "VMware", section "GuestInfo keys".

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::local::described;
use crate::LONGEST;
use crate::answer::Answer;
use crate::error::Refusal;

/// Ask.
pub(crate) fn ask() -> Result<Answer, Refusal> {
    let mut properties = Properties::open()?;
    let mut part = |name: &str| match properties.get(&format!("guestinfo.{name}"))? {
        Some(value) => {
            let encoding = properties.get(&format!("guestinfo.{name}.encoding"))?.unwrap_or_default();
            decode(name, &value, &encoding).map(Some)
        }
        None => Ok(None),
    };
    match (part("metadata")?, part("userdata")?) {
        (None, None) => Err(Refusal::Absent("the machine has no `guestinfo.userdata`".into())),
        (meta, userdata) => described("VMware", meta.as_deref(), userdata, None),
    }
}

/// Undo what a property was encoded with.
pub(crate) fn decode(name: &str, value: &[u8], encoding: &[u8]) -> Result<Vec<u8>, Refusal> {
    let nonsense = |why: String| Refusal::Nonsense { what: format!("`guestinfo.{name}`"), why };
    let is_packed = match encoding.trim_ascii() {
        b"" => return Ok(value.to_vec()),
        b"base64" | b"b64" => false,
        b"gzip+base64" | b"gz+b64" => true,
        other => return Err(nonsense(format!("its encoding is {:?}", String::from_utf8_lossy(other)))),
    };
    let text: Vec<u8> = value.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(text).map_err(|cause| nonsense(cause.to_string()))?;
    if !is_packed {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    let read = flate2::read::MultiGzDecoder::new(bytes.as_slice()).take(LONGEST + 1).read_to_end(&mut unpacked);
    match read {
        Ok(_) if unpacked.len() as u64 > LONGEST => Err(nonsense(format!("it is longer than {LONGEST} bytes"))),
        Ok(_) => Ok(unpacked),
        Err(cause) => Err(nonsense(cause.to_string())),
    }
}

/// The hypervisor's properties.
#[cfg(target_arch = "x86_64")]
struct Properties(vmw_backdoor::BackdoorGuard);

#[cfg(target_arch = "x86_64")]
impl Properties {
    fn open() -> Result<Self, Refusal> {
        // Anywhere else the port is some other device's, or nobody's.
        if !vmw_backdoor::is_vmware_cpu() {
            return Err(Refusal::Absent("this is no machine of VMware's".into()));
        }
        vmw_backdoor::probe_backdoor_privileged().map(Self).map_err(failed)
    }

    fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let mut channel = self.0.open_enhanced_chan().map_err(failed)?;
        let value = channel.get_guestinfo(key.as_bytes()).map_err(failed)?;
        Ok(value.filter(|value| !value.is_empty() && value.len() as u64 <= LONGEST))
    }
}

#[cfg(target_arch = "x86_64")]
fn failed(cause: vmw_backdoor::VmwError) -> Refusal {
    Refusal::Nonsense { what: "`guestinfo`".into(), why: cause.to_string() }
}

/// No other processor has such a port.
#[cfg(not(target_arch = "x86_64"))]
struct Properties;

#[cfg(not(target_arch = "x86_64"))]
impl Properties {
    fn open() -> Result<Self, Refusal> {
        Err(Refusal::Absent("guestinfo is read on x86-64 alone".into()))
    }

    fn get(&mut self, _: &str) -> Result<Option<Vec<u8>>, Refusal> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn properties_are_decoded_as_they_say() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(b"hello").expect("a vector takes it");
        let packed = STANDARD.encode(packer.finish().expect("a vector takes it"));
        for (value, encoding) in [("hello", ""), ("aGVs\nbG8=\n", "base64"), (&packed, "gzip+base64")] {
            assert_eq!(decode("userdata", value.as_bytes(), encoding.as_bytes()).expect(encoding), b"hello");
        }
        for (value, encoding) in [("hello", "rot13"), ("?", "b64"), ("aGVsbG8=", "gz+b64")] {
            decode("userdata", value.as_bytes(), encoding.as_bytes()).expect_err(encoding);
        }
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(&vec![0; 4 << 20]).expect("a vector takes it");
        let bomb = STANDARD.encode(packer.finish().expect("a vector takes it"));
        assert!(
            decode("userdata", bomb.as_bytes(), b"gzip+base64").expect_err("a bomb").to_string().contains("longer")
        );
    }

    #[test]
    fn a_machine_of_somebody_else_has_no_properties() {
        let refusal = ask().expect_err("no machine of VMware's");
        assert!(matches!(refusal, Refusal::Absent(_)), "{refusal}");
    }
}
