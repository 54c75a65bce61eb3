//! The manifest's `logs` section, as init will follow it.

use hullkit_init::contract::{LogFiles, LogServer, Logs};
use linuxkit_yaml::LogFormat;

/// Length of a file if the manifest does not say, in bytes.
const SIZE: u64 = 10 << 20;

/// How many files are kept if the manifest does not say.
const COUNT: u32 = 5;

/// Translate the section.
pub(super) fn plan(logs: &linuxkit_yaml::Logs) -> Logs {
    let files = logs.volume.as_ref().map(|volume| LogFiles {
        volume: volume.value.clone(),
        size: logs.max_size.as_ref().map_or(SIZE, |size| size.value.0),
        count: logs.max_files.as_ref().map_or(COUNT, |count| count.value),
    });
    let server = |forward: &linuxkit_yaml::Forward| LogServer {
        address: forward.to.value.address,
        stream: forward.to.value.stream,
        json: forward.format == Some(LogFormat::Json),
    };
    Logs {
        console: logs.console.as_ref().map(|names| names.iter().map(|name| name.value.clone()).collect()),
        files,
        forward: logs.forward.iter().map(server).collect(),
    }
}
