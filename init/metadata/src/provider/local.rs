//! What the machine itself holds: volumes, QEMU's items, files of the image; and the pages that a seed of NoCloud's names.
//!
//! # Source
//!
//! cloud-init's documentation, "NoCloud" and "Config drive"; QEMU's `docs/specs/fw_cfg.rst`; LinuxKit, `pkg/metadata`.

use serde_json::Value;

use super::at;
use crate::answer::Answer;
use crate::client::Client;
use crate::error::Refusal;
use crate::machine::{Machine, Seed};
use crate::volume::{Mounted, Volume, volumes};

/// Names of files that user data is in; the second is what `linuxkit run` writes.
const USER_DATA: [&str; 2] = ["user-data", "config"];

/// A volume labelled `cidata`, or a CD that has user data; or what the seed alone says.
pub(crate) fn nocloud(machine: &Machine, seed: Option<Seed>) -> Result<Answer, Refusal> {
    let volumes = volumes(machine);
    let is_ours = |volume: &&Volume| volume.label.name.eq_ignore_ascii_case("cidata");
    for volume in volumes.iter().filter(is_ours).chain(volumes.iter().filter(|volume| volume.is_cd && !is_ours(volume)))
    {
        let mounted = Mounted::new(volume, machine)?;
        let mut userdata = None;
        for name in USER_DATA {
            if userdata.is_none() {
                userdata = mounted.file(name)?;
            }
        }
        let meta = mounted.file("meta-data")?;
        if userdata.is_none() && (meta.is_none() || !is_ours(&volume)) {
            continue;
        }
        return described(&format!("CDROM {}", volume.device.display()), meta.as_deref(), userdata, seed);
    }
    match seed {
        Some(seed) if seed.hostname.is_some() => described("NoCloud", None, None, Some(seed)),
        _ => Err(Refusal::Absent("there is no volume labelled `cidata`".into())),
    }
}

/// The pages that a seed names.
pub(crate) fn seeded(client: &Client, seed: Seed) -> Result<Answer, Refusal> {
    let meta = client.get("/meta-data")?;
    let userdata = client.try_get("/user-data")?;
    described("NoCloud", Some(&meta), userdata, Some(seed))
}

/// OpenStack's volume labelled `config-2`.
pub(crate) fn configdrive(machine: &Machine) -> Result<Answer, Refusal> {
    let volumes = volumes(machine);
    let volume = volumes.iter().find(|volume| volume.label.name.eq_ignore_ascii_case("config-2"));
    let volume = volume.ok_or_else(|| Refusal::Absent("there is no volume labelled `config-2`".into()))?;
    let mounted = Mounted::new(volume, machine)?;
    let meta = mounted.file("openstack/latest/meta_data.json")?;
    let meta =
        meta.ok_or_else(|| Refusal::Absent("the volume `config-2` has no `openstack/latest/meta_data.json`".into()))?;
    let meta: Value = serde_json::from_slice(&meta)
        .map_err(|cause| Refusal::Nonsense { what: "`meta_data.json`".into(), why: cause.to_string() })?;
    Ok(Answer { userdata: mounted.file("openstack/latest/user_data")?, ..super::openstack::described(&meta) })
}

/// Items that QEMU was given: `-fw_cfg name=opt/hullkit/user-data,file=…`.
pub(crate) fn fw_cfg(machine: &Machine) -> Result<Answer, Refusal> {
    let userdata = machine.item("opt/hullkit/user-data");
    match (machine.item("opt/hullkit/meta-data"), userdata) {
        (Err(Refusal::Absent(_)), Err(refusal)) => Err(refusal),
        (meta, userdata) => described("fw_cfg", present(meta)?.as_deref(), present(userdata)?, None),
    }
}

/// A file of the image, whole.
pub(crate) fn file(machine: &Machine, path: &str) -> Result<Answer, Refusal> {
    Ok(Answer { userdata: Some(machine.file(path)?), ..Answer::of(&format!("FILE {path}")) })
}

fn present(read: Result<Vec<u8>, Refusal>) -> Result<Option<Vec<u8>>, Refusal> {
    match read {
        Err(Refusal::Absent(_)) => Ok(None),
        other => other.map(Some),
    }
}

/// Put together what `meta-data`, `user-data` and a seed say; `meta-data` wins.
pub(crate) fn described(
    provider: &str,
    meta: Option<&[u8]>,
    userdata: Option<Vec<u8>>,
    seed: Option<Seed>,
) -> Result<Answer, Refusal> {
    let mut answer = Answer { userdata, ..Answer::of(provider) };
    let meta = match meta.filter(|text| !text.trim_ascii().is_empty()) {
        Some(text) => linuxkit_yaml::from_yaml::<Value>(text, "meta-data")
            .map_err(|error| Refusal::Nonsense { what: "`meta-data`".into(), why: first_line(&error.to_string()) })?,
        None => Value::Null,
    };
    let seed = seed.unwrap_or_default();
    answer.hostname = at(&meta, "/local-hostname").or_else(|| at(&meta, "/hostname")).or(seed.hostname);
    answer.fact("instance_id", at(&meta, "/instance-id").or(seed.instance));
    answer.keys_at(&meta, "/public-keys");
    Ok(answer)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
