//! OpenStack's metadata service; its volume `config-2` holds the same document.
//!
//! # Source
//!
//! Nova's documentation, "Metadata service", section "OpenStack format metadata"; LinuxKit, `pkg/metadata`.

use serde_json::Value;

use super::at;
use crate::answer::Answer;
use crate::client::Client;
use crate::error::Refusal;

/// Ask.
pub(crate) fn ask(client: &Client) -> Result<Answer, Refusal> {
    let document = client.json("/openstack/latest/meta_data.json")?;
    Ok(Answer { userdata: client.try_get("/openstack/latest/user_data")?, ..described(&document) })
}

/// Read `meta_data.json`.
pub(crate) fn described(document: &Value) -> Answer {
    let mut answer = Answer::of("openstack");
    answer.hostname = at(document, "/hostname").or_else(|| at(document, "/name"));
    answer.fact("availability_zone", at(document, "/availability_zone"));
    answer.fact("instance_id", at(document, "/uuid"));
    answer.fact("local_hostname", at(document, "/hostname"));
    answer.keys_at(document, "/public_keys");
    answer
}
