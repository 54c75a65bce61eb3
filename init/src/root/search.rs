//! The search for the root. In: how it is named, and the contract. Out: the one [`Place`] it is at, or what was seen instead.
//!
//! Disks come when they like: each is looked at once it is there, and again only if it could not be read or has got another size.
//! CDs come last, because one that is not meant may take seconds to spin.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::probe::{self, Found, Holds};
use super::wanted::Wanted;
use super::{Place, RootError};
use crate::contract::Root;
use crate::host::{Host, Waited};
use crate::sys::Sys;

/// How long the root is looked for unless the kernel command line says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Time until a disk that could not be read is read again.
const RETRY: Duration = Duration::from_millis(500);

/// Most lines of devices on the failure screen.
const SHOWN: usize = 64;

/// Look until the root is there or the time is over; `None` if somebody wants the host to go down meanwhile.
///
/// # Errors
///
/// [`RootError::Missing`], [`RootError::Other`], [`RootError::Short`].
pub(super) fn find<S: Sys>(host: &mut Host<S>, root: &Root, wanted: &Wanted) -> Result<Option<Place>, RootError> {
    let timeout = host.options.root_timeout.map_or(TIMEOUT, |seconds| Duration::from_secs(seconds.into()));
    let mut search = Search { root, wanted, seen: BTreeMap::new() };
    let waited = host.wait_for(timeout, &format!("the root, {wanted}"), |host| {
        search.look(host);
        search.choose(host)
    });
    match waited {
        Waited::Found(place) => Ok(Some(place)),
        Waited::Asked => Ok(None),
        Waited::Late(waited) => Err(search.give_up(host, waited)),
    }
}

struct Search<'a> {
    root: &'a Root,
    wanted: &'a Wanted,
    /// What was seen so far, by path.
    seen: BTreeMap<String, Seen>,
}

/// One device.
struct Seen {
    /// Its size as the kernel's list has it, in bytes.
    size: u64,
    /// When it was looked at, as an uptime.
    at: Duration,
    holds: io::Result<Holds>,
}

impl Seen {
    /// Tell whether another look may show something else.
    fn is_stale(&self, size: u64, now: Duration) -> bool {
        match &self.holds {
            _ if self.size != size => true,
            Ok(_) => false,
            Err(cause) => cause.kind() == io::ErrorKind::NotFound || now >= self.at + RETRY,
        }
    }
}

impl Search<'_> {
    /// Look at what may hold the root and has not been looked at: disks, then CDs unless a disk holds it.
    fn look<S: Sys>(&mut self, host: &mut Host<S>) {
        if let Wanted::Device(path) | Wanted::File(path) = self.wanted {
            return self.probe(host, path.clone(), 0);
        }
        let (cds, disks): (Vec<_>, Vec<_>) =
            host.sys.block_devices().into_iter().partition(|(path, _)| path.starts_with("/dev/sr"));
        for devices in [disks, cds] {
            for (path, size) in devices {
                self.probe(host, path, size);
            }
            if !self.fitting().is_empty() {
                return;
            }
        }
    }

    fn probe<S: Sys>(&mut self, host: &mut Host<S>, path: String, size: u64) {
        let at = host.sys.uptime();
        if self.seen.get(&path).is_none_or(|seen| seen.is_stale(size, at)) {
            let holds = host.sys.open_disk(&path).and_then(|disk| probe::probe(&*disk));
            self.seen.insert(path, Seen { size, at, holds });
        }
    }

    /// What the name fits, in order of the devices' names.
    fn named(&self) -> impl Iterator<Item = (&String, &Found)> {
        let holding = self.seen.iter().filter_map(|(path, seen)| Some((path, seen.holds.as_ref().ok()?)));
        let all = holding.flat_map(|(path, holds)| holds.found.iter().map(move |found| (path, found)));
        all.filter(|(_, found)| self.wanted.is(found))
    }

    /// What the name fits and the contract too.
    fn fitting(&self) -> Vec<Place> {
        let fits = |found: &Found| self.is_ours(found) && found.room >= self.root.size;
        self.named().filter(|(_, found)| fits(found)).map(|(path, found)| place(path, found)).collect()
    }

    fn is_ours(&self, found: &Found) -> bool {
        found.volume.uuid.eq_ignore_ascii_case(&self.root.uuid)
    }

    /// The first that fits; that there are others is said.
    fn choose<S: Sys>(&self, host: &mut Host<S>) -> Option<Place> {
        let mut places = self.fitting().into_iter();
        let first = places.next()?;
        for other in places {
            host.say(&format!("the root is on {other} as well; the one on {first} is taken"));
        }
        Some(first)
    }

    /// Why nothing fits.
    fn give_up<S: Sys>(&mut self, host: &mut Host<S>, waited: Duration) -> RootError {
        if let Some((path, found)) = self.named().next() {
            let (place, size) = (place(path, found), self.root.size);
            return match self.is_ours(found) {
                true => RootError::Short { place, size },
                false => RootError::Other { place, found: found.volume.uuid.clone(), uuid: self.root.uuid.clone() },
            };
        }
        for (path, size) in host.sys.block_devices() {
            self.probe(host, path, size);
        }
        let mut seen: Vec<String> = self.seen.iter().flat_map(|(path, seen)| describe(path, seen)).collect();
        seen.truncate(SHOWN);
        RootError::Missing { wanted: self.wanted.to_string(), seconds: waited.as_secs(), seen }
    }
}

fn place(path: &str, found: &Found) -> Place {
    let partition = found.partition.as_ref().map(|partition| partition.number);
    Place { path: path.to_owned(), partition, offset: found.start, room: found.room }
}

fn describe(path: &str, seen: &Seen) -> Vec<String> {
    match &seen.holds {
        Ok(holds) => {
            let mut lines = holds.describe();
            if let Some(first) = lines.first_mut() {
                *first = format!("{path}, {}: {first}", length(holds.size));
            }
            lines
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => vec![format!("{path}: not there")],
        Err(cause) => vec![format!("{path}, {}: unreadable: {cause}", length(seen.size))],
    }
}

/// A length for people, rounded down.
fn length(bytes: u64) -> String {
    if bytes < 1 << 20 { format!("{} KiB", bytes >> 10) } else { format!("{} MiB", bytes >> 20) }
}
