//! The host's name, the kernel's parameters and the limits that everything inherits. None can stop a boot: what fails is said.

use std::rc::Rc;

use crate::boot::BootError;
use crate::host::Host;
use crate::root::web;
use crate::sys::Sys;

/// Set the host name, the kernel parameters and the limits.
///
/// # Errors
///
/// None; the signature is that of a stage.
pub fn set<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    let contract = Rc::clone(&host.contract);
    if let Err(cause) = host.sys.raise_limits() {
        host.say(&format!("could not raise the limits on files and processes: {cause}"));
    }
    if let Some(name) = &contract.hostname
        && let Err(cause) = host.sys.hostname(name)
    {
        host.say(&format!("could not set the host name `{name}`: {cause}"));
    }
    let failed = set_parameters(host);
    // A root from the network brings modules, and those parameters: what fails now is tried again then.
    if !web::is_wanted(host) {
        failed.iter().for_each(|line| host.say(line));
    }
    Ok(())
}

/// Set the kernel parameters again: the modules that some belong to came with the root, after the network.
pub fn set_again<S: Sys>(host: &mut Host<S>) {
    set_parameters(host).iter().for_each(|line| host.say(line));
}

/// Set the kernel parameters. Out: a line for each that could not be.
fn set_parameters<S: Sys>(host: &mut Host<S>) -> Vec<String> {
    let contract = Rc::clone(&host.contract);
    let set = |(key, value): (&String, &String)| {
        let result = match path(key) {
            Some(path) => host.sys.write(&path, value.as_bytes()),
            None => Err(std::io::ErrorKind::InvalidInput.into()),
        };
        let cause = result.err()?;
        Some(format!("could not set the kernel parameter `{key}` to `{value}`: {cause}"))
    };
    contract.sysctl.iter().filter_map(set).collect()
}

/// File of a parameter. Dots separate, and a slash stands for a dot in a name, unless a slash comes first (sysctl(8)).
fn path(key: &str) -> Option<String> {
    let slashes_separate = key.find(['.', '/']).is_some_and(|at| key.as_bytes()[at] == b'/');
    let path: String = match slashes_separate {
        true => key.to_owned(),
        false => key
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
    };
    let safe = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    safe.then(|| format!("/proc/sys/{path}"))
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn a_parameter_is_a_file_below_proc_sys() {
        let cases = [
            ("net.ipv4.ip_forward", Some("/proc/sys/net/ipv4/ip_forward")),
            ("net/ipv4/conf/eth0.1/rp_filter", Some("/proc/sys/net/ipv4/conf/eth0.1/rp_filter")),
            ("net.ipv4.conf.eth0/1.rp_filter", Some("/proc/sys/net/ipv4/conf/eth0.1/rp_filter")),
            ("../../etc/passwd", None),
            ("kernel.//.x", None),
            ("", None),
        ];
        for (key, want) in cases {
            assert_eq!(path(key).as_deref(), want, "{key}");
        }
    }
}
