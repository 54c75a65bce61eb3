//! Capability names and the five sets of a process.
//!
//! Source: capabilities(7); OCI runtime-spec 1.2.1, `config.md`, "Linux Process".

use serde::Serialize;

/// Every capability, in the kernel's numeric order from 0.
pub const ALL: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The five sets; `{}` in JSON when all are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Sets {
    /// What may ever be held.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bounding: Vec<String>,
    /// What is in force.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub effective: Vec<String>,
    /// What a program run may keep.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inheritable: Vec<String>,
    /// What may be put in force.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub permitted: Vec<String>,
    /// What an unprivileged program run keeps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ambient: Vec<String>,
}

impl Sets {
    /// Everything, as for a program that root starts on the host.
    #[must_use]
    pub fn all() -> Self {
        let all = ALL.map(str::to_owned).to_vec();
        Self { bounding: all.clone(), effective: all.clone(), permitted: all, ..Self::default() }
    }
}

/// Why a list of capabilities means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// No kernel knows the name.
    #[error("`{0}` is not a capability: names are upper case and begin with `CAP_`, as in capabilities(7)")]
    Unknown(String),
    /// `all` and `none` stand for the whole list.
    #[error("`{0}` must be the only entry of its list")]
    NotAlone(String),
}

/// Make the five sets from the manifest's `capabilities` and `ambient`.
///
/// The effective set keeps the order that was written, the others are sorted unions, as LinuxKit writes them.
///
/// # Errors
///
/// - [`CapabilityError`]: a name that is none, or `all` or `none` beside others.
pub fn sets(capabilities: &[String], ambient: &[String]) -> Result<Sets, CapabilityError> {
    let effective = expand(capabilities)?;
    let ambient = expand(ambient)?;
    let mut union = [effective.as_slice(), ambient.as_slice()].concat();
    union.sort_unstable();
    union.dedup();
    Ok(Sets { bounding: union.clone(), inheritable: union.clone(), permitted: union, effective, ambient })
}

/// Replace `all` and `none`, and check the rest.
fn expand(list: &[String]) -> Result<Vec<String>, CapabilityError> {
    let word = |name: &String| name.eq_ignore_ascii_case("all") || name.eq_ignore_ascii_case("none");
    match list {
        [one] if one.eq_ignore_ascii_case("all") => return Ok(ALL.map(str::to_owned).to_vec()),
        [one] if one.eq_ignore_ascii_case("none") => return Ok(Vec::new()),
        _ => {}
    }
    if let Some(name) = list.iter().find(|name| word(name)) {
        return Err(CapabilityError::NotAlone(name.clone()));
    }
    match list.iter().find(|name| !ALL.contains(&name.as_str())) {
        Some(name) => Err(CapabilityError::Unknown(name.clone())),
        None => Ok(list.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn effective_keeps_its_order_and_the_unions_are_sorted() {
        let sets = sets(&list(&["CAP_NET_RAW", "CAP_CHOWN"]), &list(&["CAP_BPF"])).unwrap();
        assert_eq!(sets.effective, ["CAP_NET_RAW", "CAP_CHOWN"]);
        assert_eq!(sets.bounding, ["CAP_BPF", "CAP_CHOWN", "CAP_NET_RAW"]);
        assert_eq!((sets.ambient.len(), &sets.permitted), (1, &sets.bounding));
    }

    #[test]
    fn all_is_every_capability_and_none_is_no_capability() {
        assert_eq!(sets(&list(&["ALL"]), &[]).unwrap().effective, ALL);
        assert_eq!(sets(&list(&["none"]), &[]).unwrap(), Sets::default());
    }

    #[test]
    fn what_the_kernel_does_not_know_is_refused() {
        assert_eq!(sets(&list(&["chown"]), &[]).unwrap_err(), CapabilityError::Unknown("chown".into()));
        assert_eq!(sets(&list(&["all", "CAP_BPF"]), &[]).unwrap_err(), CapabilityError::NotAlone("all".into()));
    }
}
