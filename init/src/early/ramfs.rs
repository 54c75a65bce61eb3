//! A root that has a parent, so that containers can pivot into theirs.
//!
//! `pivot_root` fails on the initial ramfs, which nothing is mounted below. Binding `/` and moving that mount over `/` gives a
//! root that is mounted on something, without copying a byte. It must come before every other mount: they would be bound along.

use crate::boot::BootError;
use crate::host::Host;
use crate::sys::Sys;

/// A folder that every image has; the bind rests on it for a moment.
const OVER: &str = "/hullkit";

/// Move the root.
///
/// # Errors
///
/// [`BootError::Ramfs`].
pub fn enter<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    host.sys.move_root(OVER).map_err(BootError::Ramfs)
}
