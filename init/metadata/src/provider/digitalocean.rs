//! DigitalOcean: all of it in one document.
//!
//! # Source
//!
//! DigitalOcean documentation, "Metadata API"; LinuxKit, `pkg/metadata/provider_digitalocean.go`.

use super::at;
use crate::answer::Answer;
use crate::client::Client;
use crate::error::Refusal;

/// Ask.
pub(crate) fn ask(client: &Client) -> Result<Answer, Refusal> {
    let document = client.json("/metadata/v1.json")?;
    let mut answer = Answer::of("DigitalOcean");
    answer.hostname = at(&document, "/hostname");
    answer.fact("public_ipv4", at(&document, "/interfaces/public/0/ipv4/ip_address"));
    answer.fact("private_ipv4", at(&document, "/interfaces/private/0/ipv4/ip_address"));
    answer.fact("region", at(&document, "/region"));
    answer.fact("id", at(&document, "/droplet_id"));
    answer.keys_at(&document, "/public_keys");
    answer.userdata = at(&document, "/user_data").map(String::into_bytes);
    Ok(answer)
}
