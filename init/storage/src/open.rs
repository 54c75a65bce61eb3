//! Takes one volume into use. In: a disk or partition, and what is to be on it. Out: it is there, open, as long as its place, and mounted.

use hullkit_init::contract::storage::{Format, Volume};

use crate::Say;
use crate::choose::{self, State};
use crate::crypt;
use crate::device::Device;
use crate::error::StorageError;
use crate::make::make;
use crate::mount;
use crate::probe::{Found, Holds, probe};
use crate::sys;
use crate::tool::Tools;

/// One volume of the order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// What it is to be.
    pub(crate) volume: &'a Volume,
    /// Where.
    pub(crate) device: &'a Device,
    /// What messages and mapped devices call it.
    pub(crate) name: &'a str,
    /// It may be overwritten whatever it holds.
    pub(crate) wipe: bool,
}

/// Take a volume into use: format it if it is not there, and say so.
pub(crate) fn open(place: &Place<'_>, tools: Tools<'_>, say: &mut Say<'_>) -> Result<(), StorageError> {
    let Place { volume, device, name, .. } = *place;
    let path = device.path.as_str();
    let holds = look(path)?;
    let state = choose::state(volume, &holds);
    let again = volume.grow && is_short_swap(volume, &holds, device.size);
    if state == State::Foreign && !place.wipe {
        let wanted = choose::wanted_volume(volume);
        return Err(StorageError::Foreign { path: path.to_owned(), holds: Box::new(holds), wanted });
    }
    let mut opened = None;
    if state != State::Ours || again {
        let before = if state == State::Unfinished { "was not finished, formatting it again" } else { "formatting it" };
        say(&format!("{name}: {path} {before} as {}", choose::wanted_volume(volume)));
        let state = if again { State::Unfinished } else { state };
        opened = make(volume, device, state, name, tools, say)?;
    }
    let inner = match (opened, &volume.key) {
        (Some(inner), _) => inner,
        (None, Some(key)) => crypt::open(key, path, name, path, tools, say)?,
        (None, None) => path.to_owned(),
    };
    let holds = look(&inner)?;
    let Holds::Volume(found) = &holds else { return Err(foreign(&inner, holds, volume)) };
    if !choose::is_inner(volume, &holds) {
        return Err(foreign(&inner, holds.clone(), volume));
    }
    use_it(place, &inner, found, say)
}

fn use_it(place: &Place<'_>, inner: &str, found: &Found, say: &mut Say<'_>) -> Result<(), StorageError> {
    let Place { volume, device, name, .. } = *place;
    let path = device.path.as_str();
    let room = Device::length(inner).map_err(StorageError::io("read", inner))?;
    let kind = volume.format.name();
    let locked = if volume.key.is_some() { ", encrypted" } else { "" };
    if volume.format == Format::Swap {
        sys::swap_on(inner).map_err(StorageError::io("use as swap", path))?;
        say(&format!("{name}: {} MiB of {kind} on {path}{locked}", room >> 20));
        return Ok(());
    }
    let Some(target) = &volume.mount else {
        say(&format!("{name}: {} MiB of {kind} on {path}{locked}, not mounted", room >> 20));
        return Ok(());
    };
    mount::mount(volume, inner, target).map_err(StorageError::io("mount", path))?;
    let mut size = found.size.unwrap_or(room);
    let mut grown = String::new();
    if volume.grow && mount::is_short(found, room) {
        match mount::grow(volume, found, target, room) {
            Ok(true) => (grown, size) = (format!(", grown from {} MiB", size >> 20), room),
            Ok(false) => {}
            // It serves as it is.
            Err(cause) => say(&format!("{name}: {path} could not grow: {cause}")),
        }
    }
    say(&format!("{name}: {} MiB of {kind} on {path} at {target}{locked}{grown}", size >> 20));
    Ok(())
}

/// Swap holds nothing from boot to boot: one that could be longer is made anew.
fn is_short_swap(volume: &Volume, holds: &Holds, room: u64) -> bool {
    let is_swap = volume.format == Format::Swap && volume.key.is_none();
    matches!(holds, Holds::Volume(found) if is_swap && mount::is_short(found, room))
}

fn look(path: &str) -> Result<Holds, StorageError> {
    let look = || probe(&*Device::look(path)?);
    look().map_err(StorageError::io("read", path))
}

fn foreign(path: &str, holds: Holds, volume: &Volume) -> StorageError {
    let wanted = format!("{} LABEL={}", volume.format.name(), volume.label);
    StorageError::Foreign { path: path.to_owned(), holds: Box::new(holds), wanted }
}
