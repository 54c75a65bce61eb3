//! `hullkit notices`.

use std::io::Write as _;

use anyhow::Context as _;
use clap::Args;

use crate::embedded;

/// Print whose work, beside Hullkit's own, goes into what is built, and under which terms.
#[derive(Debug, Args)]
#[command(after_help = "\
Images of services and kernels bring their own notices; this is about what `hullkit` itself carries: systemd's boot stub.

Example:
  hullkit notices > NOTICES")]
pub struct NoticesArgs {}

/// Print the notices.
///
/// # Errors
///
/// Standard output refuses them.
pub fn run(_: &NoticesArgs) -> anyhow::Result<()> {
    let notice = embedded::STUB_NOTICE;
    let text = if notice.is_empty() { "this hullkit was built without a boot stub" } else { notice.trim_end() };
    writeln!(std::io::stdout().lock(), "{text}").context("could not write the notices")
}
