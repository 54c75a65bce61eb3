//! LUKS2. In: where a key comes from. Out: a volume that only it opens. A key is read by tools from their standard input, and is nowhere else: on
//! no command line, in no environment, in no file that this program makes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use hullkit_init::contract::storage::Key;
use zeroize::Zeroizing;

use crate::Say;
use crate::error::StorageError;
use crate::tool::Tools;

/// Longest key that is read from a file, in bytes; a pipe takes it without waiting.
const KEY_MAX: u64 = 64 << 10;

/// Where the kernel shows the TPM.
const TPM: &str = "/dev/tpmrm0";

/// How a key becomes the one of its slot, where it may be a person's choice: Argon2id as RFC 9106 recommends second, for machines with little
/// memory. Fixed, because what is measured on this machine now may be too much for it later.
const SLOW: [&str; 6] = [
    "--pbkdf=argon2id",
    "--pbkdf-force-iterations=4",
    "--pbkdf-memory=65536",
    "--pbkdf-parallel=4",
    "--use-random",
    "--batch-mode",
];

/// The same for 256 random bits, which nobody can guess.
const FAST: [&str; 4] = ["--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000", "--use-random", "--batch-mode"];

/// Make a volume of LUKS2. In: the device for the tools, and the path for people.
pub(crate) fn format(
    key: &Key,
    label: &str,
    device: &str,
    path: &str,
    tools: Tools<'_>,
    say: &mut Say<'_>,
) -> Result<(), StorageError> {
    let slow = matches!(key, Key::File(_));
    let secret = match key {
        Key::File(file) => read(file)?,
        Key::Tpm(_) => {
            find_tpm()?;
            random()?
        }
    };
    let mut words = vec!["cryptsetup", "luksFormat", "--type=luks2", "--key-file=-", "--label", label];
    words.extend(if slow { &SLOW[..] } else { &FAST[..] });
    words.push(device);
    tools.run(&words, &secret, path, say)?;
    let Key::Tpm(registers) = key else { return Ok(()) };
    let registers: Vec<String> = registers.iter().map(u8::to_string).collect();
    let (registers, tpm) = (format!("--tpm2-pcrs={}", registers.join("+")), format!("--tpm2-device={TPM}"));
    // The TPM's own key takes the place of the first one, which nobody knows afterwards.
    let words =
        ["systemd-cryptenroll", "--unlock-key-file=/proc/self/fd/0", &tpm, &registers, "--wipe-slot=password", device];
    tools.run(&words, &secret, path, say).map(drop)
}

/// Open a volume. Out: the path of what is in it.
pub(crate) fn open(
    key: &Key,
    device: &str,
    mapped: &str,
    path: &str,
    tools: Tools<'_>,
    say: &mut Say<'_>,
) -> Result<String, StorageError> {
    let (secret, how): (_, &[&str]) = match key {
        Key::File(file) => (read(file)?, &["--key-file=-"]),
        Key::Tpm(_) => {
            find_tpm()?;
            (Zeroizing::new(Vec::new()), &["--token-only", "--token-type=systemd-tpm2"])
        }
    };
    let words = [&["cryptsetup", "open", "--type=luks2"], how, &[device, mapped]].concat();
    let output = tools.ask(&words, &secret, path, say)?;
    if output.status.success() {
        return Ok(format!("/dev/mapper/{mapped}"));
    }
    Err(StorageError::Locked { path: path.to_owned(), why: output.why, tpm: matches!(key, Key::Tpm(_)) })
}

fn read(path: &str) -> Result<Zeroizing<Vec<u8>>, StorageError> {
    let failed = |cause| StorageError::Key { path: path.to_owned(), cause };
    // With room for all of it from the start: a buffer that grows leaves copies behind.
    let mut key = Zeroizing::new(Vec::with_capacity(usize::try_from(KEY_MAX).unwrap_or_default() + 1));
    let file = File::open(path).map_err(failed)?;
    file.take(KEY_MAX + 1).read_to_end(&mut key).map_err(failed)?;
    match key.len() as u64 {
        0 => Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it is empty"))),
        length if length > KEY_MAX => Err(failed(io::ErrorKind::FileTooLarge.into())),
        _ => Ok(key),
    }
}

fn random() -> Result<Zeroizing<Vec<u8>>, StorageError> {
    let secret = hullkit_init::sys::secret().map_err(StorageError::io("get random bytes for", "a key"))?;
    let secret = Zeroizing::new(secret);
    Ok(Zeroizing::new(secret.to_vec()))
}

fn find_tpm() -> Result<(), StorageError> {
    if Path::new(TPM).exists() { Ok(()) } else { Err(StorageError::NoTpm) }
}
