//! Every cloud answers in its own shape; values are invented.

use super::server::Server;
use crate::answer::Answer;
use crate::provider::{aws, azure, digitalocean, gcp, hetzner, local, openstack, scaleway, vultr};

/// Write an answer down, one line for each part.
fn dump(answer: &Answer) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", answer.provider, answer.hostname.as_deref().unwrap_or("-"))];
    lines.extend(answer.ssh_keys.iter().map(|key| format!("key {key}")));
    lines.extend(answer.facts.iter().map(|(name, value)| format!("{name} {value}")));
    lines.extend(answer.userdata.iter().map(|bytes| format!("data {}", String::from_utf8_lossy(bytes))));
    lines
}

const TOKEN: &str = "x-aws-ec2-metadata-token: AQAE-invented==";

#[test]
fn amazon_is_asked_in_a_session() {
    let server = Server::pages(&[
        ("PUT /latest/api/token", "x-aws-ec2-metadata-token-ttl-seconds: 900", "AQAE-invented==\n"),
        ("GET /latest/meta-data/hostname", TOKEN, "ip-10-0-0-9.ec2.internal"),
        ("GET /latest/meta-data/local-hostname", TOKEN, "ip-10-0-0-9.ec2.internal"),
        ("GET /latest/meta-data/public-ipv4", TOKEN, "203.0.113.9"),
        ("GET /latest/meta-data/local-ipv4", TOKEN, "10.0.0.9"),
        ("GET /latest/meta-data/placement/availability-zone", TOKEN, "us-east-1b"),
        ("GET /latest/meta-data/instance-type", TOKEN, "m5.large"),
        ("GET /latest/meta-data/instance-id", TOKEN, "i-0abc"),
        ("GET /latest/meta-data/public-keys/", TOKEN, "0=first\n1=second"),
        ("GET /latest/meta-data/public-keys/0/openssh-key", TOKEN, "ssh-rsa AAAA first\n"),
        ("GET /latest/meta-data/public-keys/1/openssh-key", TOKEN, "ssh-rsa BBBB second\n"),
        ("GET /latest/user-data", TOKEN, "#!/bin/sh\n"),
    ]);
    let want = [
        "AWS: ip-10-0-0-9.ec2.internal",
        "key ssh-rsa AAAA first",
        "key ssh-rsa BBBB second",
        "public_ipv4 203.0.113.9",
        "local_ipv4 10.0.0.9",
        "availability_zone us-east-1b",
        "instance_type m5.large",
        "instance_id i-0abc",
        "local_hostname ip-10-0-0-9.ec2.internal",
        "data #!/bin/sh\n",
    ];
    assert_eq!(dump(&aws::ask(server.client()).expect("an answer")), want);
}

#[test]
fn what_is_like_amazon_and_knows_no_sessions_is_asked_without() {
    let server = Server::pages(&[
        ("GET /latest/meta-data/hostname", "", "old"),
        ("GET /latest/meta-data/instance-id", "", "i-1"),
        ("GET /latest/meta-data/public-keys/", "", "0=a\nnonsense\n=\n99999999999999999999=b"),
    ]);
    assert_eq!(dump(&aws::ask(server.client()).expect("an answer")), ["AWS: old", "instance_id i-1"]);
    assert!(server.asked().iter().all(|request| request.header("x-aws-ec2-metadata-token").is_none()));
}

#[test]
fn google_tells_everything_at_once() {
    let document = r#"{"instance": {"hostname": "web.c.project.internal", "id": 8087716956832600000, "name": "web",
        "zone": "projects/1/zones/europe-west1-b", "machineType": "projects/1/machineTypes/e2-small",
        "attributes": {"user-data": "hello", "ssh-keys": "ann:ssh-ed25519 CCCC ann"},
        "networkInterfaces": [{"ip": "10.132.0.2", "accessConfigs": [{"externalIp": "198.51.100.7", "type": "ONE_TO_ONE_NAT"}]}]},
        "project": {"attributes": {"ssh-keys": "bob:ssh-rsa DDDD bob\nbroken"}}}"#;
    let pages = [("GET /computeMetadata/v1/?recursive=true", "metadata-flavor: Google", document)];
    let server = Server::pages(Box::leak(Box::new(pages)));
    let want = [
        "GCP: web.c.project.internal",
        "key ssh-rsa DDDD bob",
        "key ssh-ed25519 CCCC ann",
        "public_ipv4 198.51.100.7",
        "local_ipv4 10.132.0.2",
        "availability_zone europe-west1-b",
        "instance_type e2-small",
        "instance_id 8087716956832600000",
        "data hello",
    ];
    assert_eq!(dump(&gcp::ask(server.client()).expect("an answer")), want);
}

#[test]
fn azure_encodes_its_user_data() {
    let server = Server::pages(&[(
        "GET /metadata/instance?api-version=2021-02-01",
        "metadata: true",
        r#"{"compute": {"name": "vm-1", "osProfile": {"computerName": "web"}, "location": "westeurope", "vmId": "02aab8a4",
            "vmSize": "Standard_B1s", "zone": "1", "userData": "I2h1bGxraXQK",
            "publicKeys": [{"keyData": "ssh-rsa EEEE azure\r\n", "path": "/home/a/.ssh/authorized_keys"}]},
            "network": {"interface": [{"ipv4": {"ipAddress": [{"privateIpAddress": "10.1.0.4", "publicIpAddress": ""}]}}]}}"#,
    )]);
    let want = [
        "Azure: web",
        "key ssh-rsa EEEE azure",
        "local_ipv4 10.1.0.4",
        "availability_zone 1",
        "instance_location westeurope",
        "instance_type Standard_B1s",
        "instance_id 02aab8a4",
        "data #hullkit\n",
    ];
    assert_eq!(dump(&azure::ask(server.client()).expect("an answer")), want);
}

#[test]
fn openstack_has_its_own_documents() {
    let server = Server::pages(&[
        (
            "GET /openstack/latest/meta_data.json",
            "",
            r#"{"uuid": "83679162", "hostname": "vm.novalocal", "availability_zone": "nova", "public_keys": {"k": "ssh-rsa FFFF k\n"}}"#,
        ),
        ("GET /openstack/latest/user_data", "", "data"),
    ]);
    let want = [
        "openstack: vm.novalocal",
        "key ssh-rsa FFFF k",
        "availability_zone nova",
        "instance_id 83679162",
        "local_hostname vm.novalocal",
        "data data",
    ];
    assert_eq!(dump(&openstack::ask(&server.client()).expect("an answer")), want);
}

#[test]
fn digitalocean_hetzner_and_vultr_are_understood() {
    let server = Server::pages(&[(
        "GET /metadata/v1.json",
        "",
        r#"{"droplet_id": 2756294, "hostname": "drop", "region": "nyc3", "public_keys": ["ssh-rsa GGGG"], "user_data": "u",
            "interfaces": {"public": [{"ipv4": {"ip_address": "192.0.2.4"}}], "private": []}}"#,
    )]);
    let want =
        ["DigitalOcean: drop", "key ssh-rsa GGGG", "public_ipv4 192.0.2.4", "region nyc3", "id 2756294", "data u"];
    assert_eq!(dump(&digitalocean::ask(&server.client()).expect("an answer")), want);
    let server = Server::pages(&[
        ("GET /hetzner/v1/metadata/hostname", "", "hetz"),
        ("GET /hetzner/v1/metadata/instance-id", "", "42"),
        ("GET /hetzner/v1/metadata/public-ipv4", "", "192.0.2.8"),
        ("GET /hetzner/v1/metadata/availability-zone", "", "fsn1-dc14"),
        ("GET /hetzner/v1/metadata/public-keys", "", r#"["ssh-ed25519 HHHH a"]"#),
        ("GET /hetzner/v1/userdata", "", "u"),
    ]);
    let want = [
        "Hetzner: hetz",
        "key ssh-ed25519 HHHH a",
        "public_ipv4 192.0.2.8",
        "availability_zone fsn1-dc14",
        "instance_id 42",
        "data u",
    ];
    assert_eq!(dump(&hetzner::ask(&server.client()).expect("an answer")), want);
    let server = Server::pages(&[
        (
            "GET /v1.json",
            "",
            r#"{"hostname": "vul", "instanceid": "7", "instance-v2-id": "a747", "public-keys": ["ssh-rsa IIII v"],
                "region": {"regioncode": "EWR"}, "interfaces": [
                {"network-type": "private", "ipv4": {"address": "10.9.96.3", "netmask": "255.255.240.0"}},
                {"network-type": "public", "ipv4": {"address": "192.0.2.66"}}]}"#,
        ),
        ("GET /user-data/user-data", "", "u"),
    ]);
    let want = [
        "Vultr: vul",
        "key ssh-rsa IIII v",
        "public_ipv4 192.0.2.66",
        "private_ipv4 10.9.96.3",
        "private_netmask 255.255.240.0",
        "region_code EWR",
        "instance_id a747",
        "data u",
    ];
    assert_eq!(dump(&vultr::ask(&server.client()).expect("an answer")), want);
}

/// Ports below 1024 are for root, or for everybody where the kernel says so.
fn may_use_low_ports() -> bool {
    std::net::TcpListener::bind(("127.0.0.1", 989)).is_ok()
}

#[test]
fn scaleway_gives_user_data_to_low_ports_alone() {
    let server = Server::pages(&[
        (
            "GET /conf?format=json",
            "",
            r#"{"id": "11111111-2222", "hostname": "scw", "public_ip": {"address": "192.0.2.99"}, "private_ip": "10.2.3.4",
                "location": {"zone_id": "par1"}, "ssh_public_keys": [{"key": "ssh-rsa JJJJ s", "fingerprint": "x"}]}"#,
        ),
        ("GET /user_data/cloud-init", "", "u"),
    ]);
    let answer = scaleway::ask(&server.client());
    if !may_use_low_ports() {
        return assert!(answer.is_err(), "{answer:?}");
    }
    let want = [
        "Scaleway: scw",
        "key ssh-rsa JJJJ s",
        "instance_id 11111111-2222",
        "instance_location par1",
        "public_ip 192.0.2.99",
        "private_ip 10.2.3.4",
        "data u",
    ];
    assert_eq!(dump(&answer.expect("an answer")), want);
    let asked = server.asked();
    assert!(asked[0].port >= 1024 && asked[1].port < 1024, "{asked:?}");
}

#[test]
fn a_seed_of_nocloud_names_pages() {
    let server = Server::pages(&[
        ("GET /meta-data", "", "instance-id: i-9\npublic-keys:\n  0: {openssh-key: ssh-rsa KKKK}\n"),
        ("GET /user-data", "", "u"),
    ]);
    let seed = crate::machine::seed("ds=nocloud-net;h=by-serial;s=http://x").expect("a seed");
    let want = ["NoCloud: by-serial", "key ssh-rsa KKKK", "instance_id i-9", "data u"];
    assert_eq!(dump(&local::seeded(&server.client(), seed).expect("an answer")), want);
}
