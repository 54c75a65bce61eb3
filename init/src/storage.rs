//! Disks that the host takes into use. In: the contract says that there are any. Out: they are formatted if they had to be, grown, and
//! mounted.
//!
//! PID 1 reads no byte of them: a program of its own does (`init/storage`), which finds what to do in
//! [`PATH`](crate::contract::storage::PATH), and mounts here, where PID 1 is. It bounds each of its steps, so it is waited for until it ends.

use std::io;

use crate::boot::BootError;
use crate::contract::storage::{Done, Failure, PROGRAM};
use crate::host::{Host, Kind};
use crate::services;
use crate::sys::{Started, Sys};

/// Take every disk into use. It comes before volumes and containers, which may bind what is mounted.
///
/// # Errors
///
/// [`BootError::Storage`]: a host that is to keep something does not run without a place for it.
pub fn enter<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    if host.contract.storage.is_none() {
        return Ok(());
    }
    let position = host.add(Kind::Storage, "storage");
    host.start(position);
    let Some(ending) = services::wait_for_end(host, position, None)? else { return Ok(()) };
    let said = host.units[position].take_lines().into_iter().next();
    match said.map(|line| serde_json::from_slice::<Done>(&line)) {
        Some(Ok(Done { failure: None })) => Ok(()),
        Some(Ok(Done { failure: Some(failure) })) => Err(Box::new(failure).into()),
        Some(Err(cause)) => Err(lost(format!("the program that takes disks into use is not understood: {cause}"))),
        None => Err(lost(format!("the program that takes disks into use {ending}"))),
    }
}

/// Start the program.
///
/// # Errors
///
/// The kernel's; most likely the image has no such program.
pub fn start<S: Sys>(sys: &mut S) -> io::Result<Started> {
    sys.program(PROGRAM, &[])
}

fn lost(error: String) -> BootError {
    let hint = "give the machine more memory if the kernel's lines above tell of too little, or build the image again"
        .to_owned();
    Box::new(Failure { error, seen: Vec::new(), hint }).into()
}
