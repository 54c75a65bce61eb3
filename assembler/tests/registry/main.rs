//! Pull from and push to real registries: Debian's `docker-registry` on the loopback, filled by `skopeo`; and from small
//! servers that misbehave as no real one can be made to.
//!
//! A tool that is missing fails the test: install `docker-registry`, `skopeo` and `openssl`.

#[cfg(test)]
mod cache;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod image;
#[cfg(test)]
mod local;
#[cfg(test)]
mod misbehaving;
#[cfg(test)]
#[path = "../oci/mod.rs"]
mod oci;
#[cfg(test)]
mod real;
#[cfg(test)]
mod server;
#[cfg(test)]
mod web;
