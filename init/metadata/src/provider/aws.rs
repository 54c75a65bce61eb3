//! Amazon EC2: a session of version 2 of its service, or version 1 where there is no such thing.
//!
//! # Source
//!
//! Amazon EC2 User Guide, "Use the Instance Metadata Service"; LinuxKit, `pkg/metadata/provider_aws.go`.

use crate::answer::Answer;
use crate::client::Client;
use crate::error::Refusal;

/// How many seconds a session's token is good for: longer than any boot waits.
const SECONDS: (&str, &str) = ("X-aws-ec2-metadata-token-ttl-seconds", "900");

/// Files and the pages that they are made of.
const FACTS: [(&str, &str); 6] = [
    ("public_ipv4", "public-ipv4"),
    ("local_ipv4", "local-ipv4"),
    ("availability_zone", "placement/availability-zone"),
    ("instance_type", "instance-type"),
    ("instance_id", "instance-id"),
    ("local_hostname", "local-hostname"),
];

/// Most keys that are asked for.
const KEYS_MAX: usize = 64;

/// Ask.
pub(crate) fn ask(client: Client) -> Result<Answer, Refusal> {
    let token = match client.put("/latest/api/token", SECONDS) {
        // What speaks version 1 alone knows no such request.
        Err(Refusal::Status { status: 400..500, .. }) => None,
        other => other?,
    };
    let client = match token.and_then(|token| String::from_utf8(token).ok()) {
        Some(token) if token.trim().bytes().all(|byte| byte.is_ascii_graphic()) => {
            client.with("X-aws-ec2-metadata-token", token.trim())
        }
        _ => client,
    };
    let mut answer = Answer::of("AWS");
    let page = |name: &str| client.text(&format!("/latest/meta-data/{name}"));
    let id = page("instance-id")?;
    id.ok_or_else(|| Refusal::Absent("the server knows of no `instance-id`".into()))?;
    answer.hostname = page("hostname")?;
    for (name, path) in FACTS {
        answer.fact(name, page(path)?);
    }
    let list = page("public-keys/")?.unwrap_or_default();
    // Each line is a number and a name.
    let numbers = list.lines().filter_map(|line| line.split('=').next()?.trim().parse::<u32>().ok());
    for number in numbers.take(KEYS_MAX) {
        page(&format!("public-keys/{number}/openssh-key"))?.iter().for_each(|key| answer.keys(key));
    }
    answer.userdata = client.try_get("/latest/user-data")?;
    Ok(answer)
}
