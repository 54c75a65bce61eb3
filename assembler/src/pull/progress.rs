//! What a pull tells while it runs.

use crate::digest::Digest;

/// Hears of every blob on its way. Called from several threads.
pub trait Progress: Sync {
    /// A blob of `size` bytes that belongs to the image `reference` is now transferred.
    fn start(&self, blob: &Digest, reference: &str, size: u64);
    /// So many bytes of it have passed. Falls back when a transfer starts over.
    fn at(&self, blob: &Digest, bytes: u64);
    /// It is complete and has its right name.
    fn done(&self, blob: &Digest);
}

/// Hears, and says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _: &Digest, _: &str, _: u64) {}
    fn at(&self, _: &Digest, _: u64) {}
    fn done(&self, _: &Digest) {}
}
