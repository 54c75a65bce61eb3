//! What a service's unit remembers from one start to the next.

use super::health::{State, Watch};
use super::order::Standing;

/// The life of a service.
#[derive(Debug, Clone, Copy, Default)]
pub struct Life {
    /// It has run.
    pub started: bool,
    /// It has been healthy, or has held for a while: from now on the boot does not fail with it unless it is given up.
    pub proven: bool,
    /// It is not started again; whether it ended with exit code 0.
    pub over: Option<bool>,
    /// Its health while it runs, if it has a health check.
    pub watch: Option<Watch>,
    /// The unit of its probes, once there was one.
    pub probe: Option<usize>,
}

impl Life {
    /// What others see who wait for it.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let healthy = self.watch.is_some_and(|watch| watch.state() == State::Healthy);
        Standing { started: self.started, healthy, over: self.over }
    }
}
