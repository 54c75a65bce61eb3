//! Hetzner Cloud.
//!
//! # Source
//!
//! Hetzner Cloud API documentation, "Server Metadata"; LinuxKit, `pkg/metadata/provider_hetzner.go`.

use crate::answer::Answer;
use crate::client::Client;
use crate::error::Refusal;

/// Files and the pages that they are made of.
const FACTS: [(&str, &str); 4] = [
    ("public_ipv4", "public-ipv4"),
    ("local_ipv4", "local-ipv4"),
    ("availability_zone", "availability-zone"),
    ("instance_id", "instance-id"),
];

/// Ask.
pub(crate) fn ask(client: &Client) -> Result<Answer, Refusal> {
    let page = |name: &str| client.text(&format!("/hetzner/v1/metadata/{name}"));
    let mut answer = Answer::of("Hetzner");
    let hostname = page("hostname")?;
    answer.hostname = Some(hostname.ok_or_else(|| Refusal::Absent("the server knows of no `hostname`".into()))?);
    for (name, path) in FACTS {
        answer.fact(name, page(path)?);
    }
    let keys = page("public-keys")?.unwrap_or_else(|| "[]".into());
    let keys: Vec<String> = serde_json::from_str(&keys)
        .map_err(|cause| Refusal::Nonsense { what: "`public-keys`".into(), why: cause.to_string() })?;
    keys.iter().for_each(|key| answer.keys(key));
    answer.userdata = client.try_get("/hetzner/v1/userdata")?;
    Ok(answer)
}
