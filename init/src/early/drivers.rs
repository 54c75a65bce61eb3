//! The stage that loads kernel modules, and says which did not load.

use std::rc::Rc;

use super::modules::{ABSENT, ModulesError, Report};
use crate::boot::BootError;
use crate::contract::{MODULES_PATH, ROOT_MODULES_PATH};
use crate::host::Host;
use crate::sys::Sys;

/// What a root is mounted with; no device asks for it.
const FOR_ROOT: [&str; 2] = ["loop", "erofs"];

/// Load the contract's modules and the drivers of the devices that are there. A host that lacks one goes on, and says so; if more
/// modules are in its root, [`load_more`] says it.
///
/// # Errors
///
/// None; the signature is that of a stage.
pub fn load<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    let contract = Rc::clone(&host.contract);
    let mut wanted = contract.modules.clone();
    if contract.root.is_some() {
        wanted.extend(FOR_ROOT.map(str::to_owned));
    }
    let mut result = host.sys.load_modules(MODULES_PATH, &wanted);
    if let (Ok(Some(report)), Some(_)) = (&mut result, &contract.root) {
        // A kernel that has neither as a module may have both; the stage that needs them says so if not.
        let absent = std::mem::take(&mut report.absent).into_iter();
        host.absent = absent.filter(|name| !FOR_ROOT.contains(&&**name)).collect();
    }
    tell(host, result.map(Option::unwrap_or_default));
    Ok(())
}

/// The same again with the modules that the root has brought, if it has.
pub fn load_more<S: Sys>(host: &mut Host<S>) {
    let contract = Rc::clone(&host.contract);
    let absent = std::mem::take(&mut host.absent);
    let result = host.sys.load_modules(ROOT_MODULES_PATH, &contract.modules);
    tell(host, result.map(|report| report.unwrap_or_else(|| Report { absent, ..Report::default() })));
}

fn tell<S: Sys>(host: &mut Host<S>, result: Result<Report, ModulesError>) {
    match result {
        Ok(report) => {
            for name in &report.absent {
                host.say(&format!("module `{name}` not loaded: {ABSENT}"));
            }
            for (name, reason) in &report.failed {
                host.say(&format!("module `{name}` not loaded: {reason}"));
            }
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            host.say(&format!("no modules loaded: {error}{cause}"));
        }
    }
}
