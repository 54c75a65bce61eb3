//! Signals that ask the program to end, as a call on a thread.

use std::thread;

use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::VmError;

/// A signal that asks the program to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The terminal is gone.
    Hangup,
    /// Ctrl-C.
    Interrupt,
    /// A polite request, as from `kill` or a service manager.
    Terminate,
}

impl Signal {
    /// Tell its number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Hangup => 1,
            Self::Interrupt => 2,
            Self::Terminate => 15,
        }
    }
}

/// Call `react` for every such signal from now on, instead of dying of it.
///
/// # Errors
///
/// [`VmError::Signals`]: the handlers could not be set.
pub fn on_signal(mut react: impl FnMut(Signal) + Send + 'static) -> Result<(), VmError> {
    let failed = |cause| VmError::Signals { cause };
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let kinds = runtime.block_on(async {
        Ok((signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    });
    let (mut hangup, mut interrupt, mut terminate) = kinds.map_err(failed)?;
    let listen = async move {
        loop {
            tokio::select! {
                Some(()) = hangup.recv() => react(Signal::Hangup),
                Some(()) = interrupt.recv() => react(Signal::Interrupt),
                Some(()) = terminate.recv() => react(Signal::Terminate),
                else => return,
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(listen)).map_err(failed)?;
    Ok(())
}
