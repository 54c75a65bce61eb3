//! The console, the signals and the kernel's command line: what PID 1 hears and says from now on.

use crate::boot::BootError;
use crate::cmdline;
use crate::host::Host;
use crate::sys::Sys;

/// Open the console. A host without one boots silently.
///
/// # Errors
///
/// [`BootError::Signals`].
pub fn open<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    if let Ok(fd) = host.sys.console() {
        host.console.attach(fd);
    }
    host.sys.take_signals().map_err(BootError::Signals)?;
    host.say(concat!("init ", env!("CARGO_PKG_VERSION")));
    let text = host.sys.read("/proc/cmdline").unwrap_or_default();
    host.options = cmdline::parse(&String::from_utf8_lossy(&text));
    for word in std::mem::take(&mut host.options.unknown) {
        host.say(&format!("the kernel command line has `{word}`, which means nothing here"));
    }
    Ok(())
}
