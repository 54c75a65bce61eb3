//! The host's name, the kernel's parameters and the limits that everything inherits. None can stop a boot: what fails is said.

use std::rc::Rc;

use crate::boot::BootError;
use crate::host::Host;
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
    for (key, value) in &contract.sysctl {
        let result = match path(key) {
            Some(path) => host.sys.write(&path, value.as_bytes()),
            None => Err(std::io::ErrorKind::InvalidInput.into()),
        };
        if let Err(cause) = result {
            host.say(&format!("could not set the kernel parameter `{key}` to `{value}`: {cause}"));
        }
    }
    Ok(())
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
