//! The machine's memory, against the least that the host works with.

use crate::boot::BootError;
use crate::host::Host;
use crate::sys::Sys;

/// Stop a host that would later run out of memory, at a place that tells less.
///
/// # Errors
///
/// [`BootError::Memory`].
pub fn check<S: Sys>(host: &mut Host<S>) -> Result<(), BootError> {
    let needs = host.contract.memory;
    if needs == 0 {
        return Ok(());
    }
    let text = host.sys.read("/proc/meminfo").unwrap_or_default();
    match total(&String::from_utf8_lossy(&text)) {
        Some(has) if has < needs => Err(BootError::Memory { needs, has }),
        _ => Ok(()),
    }
}

/// All memory that the kernel has, in bytes; `None` if it does not say (proc_meminfo(5)).
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::total;

    #[test]
    fn the_total_is_read_whatever_stands_around_it() {
        assert_eq!(total("MemTotal:         100 kB\nMemFree: 7 kB\n"), Some(102_400));
        for text in ["", "MemFree: 7 kB\n", "MemTotal: many kB\n", "MemTotal: 99999999999999999999 kB\n"] {
            assert_eq!(total(text), None, "{text}");
        }
    }
}
