//! The hidden verb by which one hullkit starts another that becomes QEMU.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context;

use crate::vm::launch;

/// Become QEMU, on behalf of another hullkit (see [`launch`])
#[derive(Debug, clap::Args)]
pub struct LaunchArgs {
    /// Process id of the parent
    parent: i32,
    /// QEMU
    program: OsString,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Become QEMU. Hook this to a hidden subcommand named [`launch::WORD`].
///
/// # Errors
///
/// Always: if there was nothing to report, it would not return.
pub fn become_qemu(args: &LaunchArgs) -> anyhow::Result<ExitCode> {
    let cause = launch::become_program(args.parent, &args.program, &args.arguments);
    Err(cause).with_context(|| format!("could not become `{}`", args.program.display()))
}
