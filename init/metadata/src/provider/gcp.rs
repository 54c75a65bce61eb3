//! Google Compute Engine: the whole tree of metadata in one document.
//!
//! # Source
//!
//! Google Cloud documentation, "About VM metadata" and "Manage SSH keys in metadata"; LinuxKit, `pkg/metadata/provider_gcp.go`.

use super::at;
use crate::answer::Answer;
use crate::client::Client;
use crate::error::Refusal;

/// Ask.
pub(crate) fn ask(client: Client) -> Result<Answer, Refusal> {
    let client = client.with("Metadata-Flavor", "Google");
    let document = client.json("/computeMetadata/v1/?recursive=true")?;
    let mut answer = Answer::of("GCP");
    answer.hostname = at(&document, "/instance/hostname");
    answer.fact("public_ipv4", at(&document, "/instance/networkInterfaces/0/accessConfigs/0/externalIp"));
    answer.fact("local_ipv4", at(&document, "/instance/networkInterfaces/0/ip"));
    answer.fact("availability_zone", last(at(&document, "/instance/zone")));
    answer.fact("instance_type", last(at(&document, "/instance/machineType")));
    answer.fact("instance_id", at(&document, "/instance/id"));
    let blocked = at(&document, "/instance/attributes/block-project-ssh-keys");
    let project = (!blocked.is_some_and(|word| word.eq_ignore_ascii_case("true"))).then_some("/project");
    for owner in project.into_iter().chain(["/instance"]) {
        let lines = at(&document, &format!("{owner}/attributes/ssh-keys")).unwrap_or_default();
        // Each line is a user and his key.
        lines.lines().filter_map(|line| line.split_once(':')).for_each(|(_, key)| answer.keys(key));
    }
    answer.userdata = at(&document, "/instance/attributes/user-data").map(String::into_bytes);
    Ok(answer)
}

/// The last part of a path such as `projects/1/zones/europe-west1-b`.
fn last(path: Option<String>) -> Option<String> {
    path.map(|path| path.rsplit('/').next().unwrap_or_default().to_owned())
}
