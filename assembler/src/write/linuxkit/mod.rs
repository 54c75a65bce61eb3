//! LinuxKit's formats of a host that LinuxKit's init runs: each is a [`Sink`] that the stream of entries fills.

mod boot;
pub mod filesystem;
pub mod initrd;
pub mod tar;

pub use boot::Files;

use super::WriteError;
use crate::plan::LinuxkitPlan;
use crate::rootfs::linuxkit::{self, Options, Sink};
use crate::store::Store;

/// Where the entries come from.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    /// What is written.
    pub plan: &'a LinuxkitPlan,
    /// Where the blobs are.
    pub store: &'a Store,
    /// How.
    pub options: Options,
    /// The bill of materials that goes last, if one is wanted: its path in the root, and its text.
    pub sbom: Option<(&'a str, &'a str)>,
}

impl Host<'_> {
    /// Write every entry, then `more` generated files, each a path and a text, and the bill of materials last.
    fn fill<S: Sink>(&self, sink: &mut S, more: &[(&str, &str)]) -> Result<(), S::Error> {
        linuxkit::write(self.plan, self.store, &self.options, sink)?;
        more.iter().copied().chain(self.sbom).try_for_each(|(path, text)| self.generated(sink, path, text))
    }

    /// Write a file that comes from no part of the manifest, and so without a note of where it comes from.
    fn generated<S: Sink>(&self, sink: &mut S, path: &str, text: &str) -> Result<(), S::Error> {
        let member = crate::format::tar::Member {
            path: path.into(),
            mode: 0o644,
            mtime: i64::from(self.plan.epoch),
            size: text.len() as u64,
            ..Default::default()
        };
        sink.append(&member, &mut text.as_bytes())
    }
}
