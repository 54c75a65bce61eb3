//! Microsoft Azure's instance metadata service. That a machine has booted is not reported to the fabric.
//!
//! # Source
//!
//! Azure documentation, "Azure Instance Metadata Service", version 2021-02-01.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::at;
use crate::answer::Answer;
use crate::client::Client;
use crate::error::Refusal;

/// Ask.
pub(crate) fn ask(client: Client) -> Result<Answer, Refusal> {
    let client = client.with("Metadata", "true");
    let document = client.json("/metadata/instance?api-version=2021-02-01")?;
    let mut answer = Answer::of("Azure");
    answer.hostname = at(&document, "/compute/osProfile/computerName").or_else(|| at(&document, "/compute/name"));
    let address = |which: &str| at(&document, &format!("/network/interface/0/ipv4/ipAddress/0/{which}"));
    answer.fact("public_ipv4", address("publicIpAddress"));
    answer.fact("local_ipv4", address("privateIpAddress"));
    answer.fact("availability_zone", at(&document, "/compute/zone"));
    answer.fact("instance_location", at(&document, "/compute/location"));
    answer.fact("instance_type", at(&document, "/compute/vmSize"));
    answer.fact("instance_id", at(&document, "/compute/vmId"));
    let keys = document.pointer("/compute/publicKeys").and_then(|keys| keys.as_array()).cloned().unwrap_or_default();
    keys.iter().filter_map(|key| at(key, "/keyData")).for_each(|key| answer.keys(&key));
    if let Some(text) = at(&document, "/compute/userData") {
        let bytes = STANDARD.decode(text.trim());
        let nonsense =
            |cause: base64::DecodeError| Refusal::Nonsense { what: "`userData`".into(), why: cause.to_string() };
        answer.userdata = Some(bytes.map_err(nonsense)?);
    }
    Ok(answer)
}
