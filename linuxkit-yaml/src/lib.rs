//! Text in, manifest out.
pub mod reference;
