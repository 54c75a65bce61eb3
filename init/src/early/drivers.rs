//! The stage that loads kernel modules, and says which did not load.

use std::rc::Rc;

use super::modules::{ABSENT, ModulesError, Report};
use crate::boot::BootError;
use crate::contract::{Contract, MODULES_PATH, ROOT_MODULES_PATH, metadata};
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
    let mut wanted = wanted(&contract);
    if contract.root.is_some() {
        wanted.extend(FOR_ROOT.map(str::to_owned));
    }
    let mut result = host.sys.load_modules(MODULES_PATH, &wanted);
    if let Ok(Some(report)) = &mut result {
        // A kernel that has one of these not as a module may have it built in; the stage that needs it says so if not.
        report.absent.retain(|name| !FOR_ROOT.contains(&&**name) && !is_spare(&contract, name));
        if contract.root.is_some() {
            host.absent = std::mem::take(&mut report.absent);
        }
    }
    tell(host, result.map(Option::unwrap_or_default));
    Ok(())
}

/// What is loaded though no device asks for it.
fn wanted(contract: &Contract) -> Vec<String> {
    let spare = contract.metadata.iter().flat_map(|_| metadata::MODULES).map(str::to_owned);
    let storage = contract.storage.iter().flatten().cloned();
    contract.modules.iter().cloned().chain(spare).chain(storage).collect()
}

/// Tell whether a module is loaded only if it is there.
fn is_spare(contract: &Contract, name: &str) -> bool {
    let spare = metadata::MODULES.contains(&name) || contract.storage.iter().flatten().any(|spare| spare == name);
    spare && !contract.modules.iter().any(|wanted| wanted == name)
}

/// The same again with the modules that the root has brought, if it has.
pub fn load_more<S: Sys>(host: &mut Host<S>) {
    let contract = Rc::clone(&host.contract);
    let absent = std::mem::take(&mut host.absent);
    let mut result = host.sys.load_modules(ROOT_MODULES_PATH, &wanted(&contract));
    if let Ok(Some(report)) = &mut result {
        report.absent.retain(|name| !is_spare(&contract, name));
    }
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
