//! Pull from and push to real registries: Debian's `docker-registry` on the loopback, filled by `skopeo`; and from small
//! servers that misbehave as no real one can be made to.
//!
//! A tool that is missing fails the test: install `docker-registry`, `skopeo` and `openssl`.

mod harness;
mod image;
mod local;
mod misbehaving;
mod real;
mod server;
