//! Providers simulated on the loopback with answers of their shape, and servers that are not what they should be.

mod broken;
mod providers;
mod server;
mod settling;
mod volumes;
