//! The root that lies on a web server. In: its address and its digest, from the kernel command line. Out: the same as of a root in a
//! file, because that is what it then is; every byte of it was hashed before the first was used.
//!
//! PID 1 speaks no HTTP: a child of its own does, which is in the image for this alone (`init/fetch`). It writes into a file system
//! in memory that has room for the root and for nothing more.

use std::io;
use std::rc::Rc;

use rustix::mount::MountFlags;

use super::wanted::Wanted;
use super::{RootError, take};
use crate::boot::BootError;
use crate::cmdline::Options;
use crate::contract::{Contract, FETCH, RESOLV_CONF, Root};
use crate::early::name;
use crate::host::{Host, Kind};
use crate::services;
use crate::services::backoff::Ending;
use crate::sys::{Exit, MountCall, Started, Sys};

/// The file system that the root is fetched into.
const FOLDER: &str = "/run/hullkit/root";

/// The root in it.
const FILE: &str = "/run/hullkit/root/root.img";

/// Seconds without a new byte after which the child gives up, unless the kernel command line says otherwise.
const PATIENCE: u32 = 60;

/// Exit code of the child when something else than the root lies at the address.
const OTHER: Exit = Exit::Code(3);

/// Lines of the child that the failure screen shows.
const LAST_LINES: usize = 5;

/// Tell whether the root comes once the network is up.
pub fn is_wanted<S>(host: &Host<S>) -> bool {
    matches!(host.options.root, Some(Wanted::Web(_))) && host.contract.root.is_some()
}

/// Fetch the root if that is where it is, and mount what is in it.
///
/// # Errors
///
/// [`BootError::Root`].
pub fn enter<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    let contract = Rc::clone(&host.contract);
    let (Some(root), Some(Wanted::Web(url))) = (&contract.root, host.options.root.clone()) else { return Ok(()) };
    if host.options.root_sha256.is_none() {
        return Err(RootError::NoDigest { url }.into());
    }
    make_room(host, root)?;
    host.say(&format!("root: fetching {} MiB from {url}", root.size.div_ceil(1 << 20)));
    let position = host.add(Kind::Fetch, "root");
    host.start(position);
    match services::wait_for_end(host, position, None)? {
        None => return Ok(()),
        Some(Ending::Ended(Exit::Code(0))) => {}
        Some(ending) => return Err(failure(host, position, url, &ending).into()),
    }
    take(host, root, &Wanted::File(FILE.to_owned()))?;
    name::set_again(host);
    Ok(())
}

/// Start the child that fetches the root. Out: its log; its report says nothing.
///
/// # Errors
///
/// The kernel's; most likely the image has no such program.
pub fn start<S: Sys>(sys: &mut S, options: &Options, contract: &Contract) -> io::Result<Started> {
    let (Some(Wanted::Web(url)), Some(digest), Some(root)) = (&options.root, &options.root_sha256, &contract.root)
    else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let numbers = [root.size, contract.built, options.root_timeout.unwrap_or(PATIENCE).into()];
    let [size, built, patience] = &numbers.map(|number| number.to_string());
    sys.program(FETCH, &[url, digest, size, built, patience, FILE])
}

/// Mount a file system for the root, and let the child find name servers where it looks for them.
fn make_room<S: Sys>(host: &mut Host<S>, root: &Root) -> Result<(), RootError> {
    let size = root.size;
    let failed = |cause| RootError::Room { size, cause };
    for (folder, mode) in [("/run/hullkit", 0o755), (FOLDER, 0o700)] {
        host.sys.mkdir(folder, mode).map_err(failed)?;
    }
    let (flags, data) = (MountFlags::NODEV | MountFlags::NOSUID | MountFlags::NOEXEC, format!("size={size},mode=700"));
    let call = MountCall { source: "tmpfs", target: FOLDER, kind: "tmpfs", flags, data: &data };
    host.sys.mount(&call).map_err(failed)?;
    if let Err(cause) = host.sys.symlink(RESOLV_CONF, "/etc/resolv.conf") {
        host.say(&format!("root: names of servers will not be found: {cause}"));
    }
    Ok(())
}

/// What became of the child, in its own last words.
fn failure<S>(host: &Host<S>, position: usize, url: String, ending: &Ending) -> RootError {
    let lines = host.units[position].ring.lines();
    let skip = lines.len().saturating_sub(LAST_LINES);
    let mut said: Vec<String> = lines.skip(skip).map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect();
    let why = said.pop().unwrap_or_else(|| ending.to_string());
    RootError::Fetch { url, why, said, other: *ending == Ending::Ended(OTHER) }
}
