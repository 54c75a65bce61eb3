//! Vultr: all of it in one document, and user data beside it.
//!
//! # Source
//!
//! Vultr's documentation, "Metadata"; LinuxKit, `pkg/metadata/provider_vultr.go`.

use serde_json::Value;

use super::at;
use crate::answer::Answer;
use crate::client::Client;
use crate::error::Refusal;

/// Ask.
pub(crate) fn ask(client: &Client) -> Result<Answer, Refusal> {
    let document = client.json("/v1.json")?;
    let mut answer = Answer::of("Vultr");
    answer.hostname = at(&document, "/hostname");
    let interfaces = document.pointer("/interfaces").and_then(Value::as_array).cloned().unwrap_or_default();
    let of = |kind: &str, what: &str| {
        let interface = interfaces.iter().find(|one| at(one, "/network-type").as_deref() == Some(kind))?;
        at(interface, &format!("/ipv4/{what}"))
    };
    answer.fact("public_ipv4", of("public", "address"));
    answer.fact("private_ipv4", of("private", "address"));
    answer.fact("private_netmask", of("private", "netmask"));
    answer.fact("region_code", at(&document, "/region/regioncode"));
    answer.fact("instance_id", at(&document, "/instance-v2-id").or_else(|| at(&document, "/instanceid")));
    answer.keys_at(&document, "/public-keys");
    answer.userdata = match at(&document, "/user-data") {
        Some(text) => Some(text.into_bytes()),
        None => client.try_get("/user-data/user-data")?,
    };
    Ok(answer)
}
