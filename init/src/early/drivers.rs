//! The stage that loads kernel modules, and says which did not load.

use std::rc::Rc;

use crate::boot::BootError;
use crate::host::Host;
use crate::sys::Sys;

/// Load the contract's modules and the drivers of the devices that are there. A host that lacks one goes on, and says so.
///
/// # Errors
///
/// None; the signature is that of a stage.
pub fn load<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    let contract = Rc::clone(&host.contract);
    match host.sys.load_modules(&contract.modules) {
        Ok(report) => {
            for (name, reason) in &report.failed {
                host.say(&format!("module `{name}` not loaded: {reason}"));
            }
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            host.say(&format!("no modules loaded: {error}{cause}"));
        }
    }
    Ok(())
}
