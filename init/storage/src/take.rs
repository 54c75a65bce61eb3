//! Takes disks into use, one after another. In: the order. Out: all is mounted, or why not.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hullkit_init::contract::storage::{Content, Disk, Failure, Order, Partition};
use hullkit_init::disk::gpt;

use crate::Say;
use crate::choose::{self, Seen, State};
use crate::device::Device;
use crate::error::{StorageError, describe};
use crate::open::{self, Place};
use crate::probe::{Holds, probe};
use crate::table;
use crate::tool::Tools;

/// Time between two looks for a disk.
const PAUSE: Duration = Duration::from_millis(100);

/// Time after which it is said that a disk is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long no disk must have come before something is written on one: another one, which needs no writing, may come a little later.
const SETTLING: Duration = Duration::from_secs(2);

/// Most disks that the failure screen shows.
const SHOWN: usize = 32;

/// Take every disk of an order into use.
///
/// # Errors
///
/// Why the boot cannot go on: the first disk that is not optional and could not be taken.
pub fn take_all(order: &Order, say: &mut Say<'_>) -> Result<(), Failure> {
    let tools = Tools { root: &order.tools };
    let (mut taken, mut calm) = (Vec::new(), Calm { known: BTreeSet::new(), since: Instant::now() });
    for disk in &order.disks {
        let Err(error) = take(disk, tools, &mut taken, &mut calm, say) else { continue };
        if disk.optional {
            say(&format!("{}, going on without", describe(&disk.name, &error)));
            continue;
        }
        let seen = look(&[]).into_iter().take(SHOWN);
        let seen = seen.map(|Seen { device, holds }| format!("{}, {} MiB: {holds}", device.path, device.size >> 20));
        return Err(Failure {
            error: describe(&disk.name, &error),
            seen: seen.collect(),
            hint: error.hint().to_owned(),
        });
    }
    Ok(())
}

fn take(
    disk: &Disk,
    tools: Tools<'_>,
    taken: &mut Vec<String>,
    calm: &mut Calm,
    say: &mut Say<'_>,
) -> Result<(), StorageError> {
    let (state, seen) = find(disk, taken, calm, say)?;
    let device = seen.device;
    if state == State::Foreign && !disk.wipe {
        let wanted = choose::wanted(&disk.content);
        return Err(StorageError::Foreign { path: device.path, holds: Box::new(seen.holds), wanted });
    }
    taken.push(device.path.clone());
    match &disk.content {
        Content::Volume(volume) => {
            open::open(&Place { volume, device: &device, name: &disk.name, wipe: disk.wipe }, tools, say)
        }
        Content::Partitions(partitions) => parted(disk, partitions, &device, state, tools, say),
    }
}

fn parted(
    disk: &Disk,
    partitions: &[Partition],
    device: &Device,
    state: State,
    tools: Tools<'_>,
    say: &mut Say<'_>,
) -> Result<(), StorageError> {
    let path = device.path.as_str();
    if state == State::Ours {
        table::grow(partitions, device, tools, say);
    } else {
        say(&format!("{}: writing a partition table on {path}", disk.name));
        table::make(partitions, device, state, tools, say)?;
    }
    let read = device.open().and_then(|disk| gpt::read(&*disk));
    let there = read.map_err(StorageError::io("read", path))?.map(|table| table.partitions).unwrap_or_default();
    for (wanted, there) in partitions.iter().zip(there) {
        let partition = device.partition(there.number).ok_or_else(|| table::missing(path, there.number))?;
        let name = format!("{}.{}", disk.name, wanted.name);
        let place = Place { volume: &wanted.volume, device: &partition, name: &name, wipe: disk.wipe };
        open::open(&place, tools, say)?;
    }
    Ok(())
}

/// Wait for a disk.
fn find(disk: &Disk, taken: &[String], calm: &mut Calm, say: &mut Say<'_>) -> Result<(State, Seen), StorageError> {
    let (start, timeout) = (Instant::now(), Duration::from_millis(disk.timeout));
    // There is one disk at most that has it.
    let is_named = disk.matches.serial.as_ref().is_some_and(|serial| !serial.contains(['*', '?']));
    let mut silent = true;
    loop {
        let seen = look(taken);
        calm.note(&seen);
        let late = start.elapsed() >= timeout;
        let found = choose::choose(disk, &seen).map(|(state, seen)| (state, seen.clone()));
        let is_found = found.is_some();
        if let Some((state, seen)) = found {
            let settled = state == State::Ours || is_named || calm.since.elapsed() >= SETTLING || late;
            // What is foreign may be followed by what is not, as long as there is time.
            if settled && (state != State::Foreign || disk.wipe || late) {
                return Ok((state, seen));
            }
        }
        if late {
            return Err(StorageError::Missing { seconds: timeout.as_secs() });
        }
        if silent && start.elapsed() >= PATIENCE && !is_found {
            silent = false;
            say(&format!("{}: waiting up to {} s for a disk like it", disk.name, timeout.as_secs()));
        }
        std::thread::sleep(PAUSE);
    }
}

/// How long no disk has come.
struct Calm {
    known: BTreeSet<String>,
    since: Instant,
}

impl Calm {
    fn note(&mut self, seen: &[Seen]) {
        for one in seen {
            if self.known.insert(one.device.path.clone()) {
                self.since = Instant::now();
            }
        }
    }
}

/// Look at every disk but those that are taken.
fn look(taken: &[String]) -> Vec<Seen> {
    let disks = Device::disks().into_iter().filter(|disk| !taken.contains(&disk.path));
    // One that cannot be read is none; the kernel says why.
    let seen = disks.filter_map(|device| {
        let holds: Holds = probe(&*device.open().ok()?).ok()?;
        Some(Seen { device, holds })
    });
    seen.collect()
}
