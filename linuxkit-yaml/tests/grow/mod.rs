//! Manifests grown from the JSON Schema, so that a key that is added is tested, and so that whatever the schema allows has to
//! parse.

use linuxkit_yaml::schema;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::{Map, Value};

/// Texts that are easily something else once they are printed without quotes, or broken over lines.
const TEXTS: &[&str] = &[
    "",
    "plain",
    "no",
    "yes",
    "on",
    "~",
    "null",
    "true",
    "0644",
    "0x1f",
    "1.0",
    "1e3",
    ".inf",
    "1_000",
    "2001-01-01",
    "12:30:45",
    "a: b",
    "a #b",
    "#a",
    "- a",
    "-",
    "? a",
    "| a",
    "> a",
    "&a",
    "*a",
    "!a",
    "%a",
    "@a",
    "`a",
    "[a",
    "{a}",
    "'a",
    "\"a",
    "a'b\"c",
    "a\\b",
    " lead",
    "trail ",
    "two\nlines",
    "end\n",
    "many\n\n\n",
    "\n",
    " \n x",
    "\ttab",
    "a\r\nb",
    "é",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{7}",
    "<<",
    "=",
    "---",
    "...",
    "--- a",
    "a\n---\nb",
    "a very long text that goes on and on, beyond the eighty columns at which some writers fold a line in two",
];

/// Grows one random value at a time out of a schema.
pub(crate) struct Generator {
    schema: Value,
    rng: TestRng,
    /// Counts up, so that names differ.
    names: u64,
}

impl Generator {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { schema: schema(), rng: TestRng::from_seed(RngAlgorithm::ChaCha, &seed), names: 0 }
    }

    fn below(&mut self, bound: usize) -> usize {
        let number = usize::try_from(self.rng.next_u32()).expect("32 bits");
        number % bound.max(1)
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    pub(crate) fn manifest(&mut self) -> Value {
        let root = self.schema.clone();
        self.value("Manifest", "", &root)
    }

    /// Make a value for `schema`, which is the type `owner` or the key `key` of it.
    fn value(&mut self, owner: &str, key: &str, schema: &Value) -> Value {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let name = reference.rsplit('/').next().expect("a name");
            let target = self.schema["$defs"][name].clone();
            return self.value(name, "", &target);
        }
        if let Some(text) = self.special(owner, key) {
            return text.into();
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            return words[self.below(words.len())].clone();
        }
        if let Some(choices) = schema.get("oneOf").or(schema.get("anyOf")).and_then(Value::as_array) {
            let choice = choices[self.below(choices.len())].clone();
            return self.value(owner, key, &choice);
        }
        if let Some(word) = schema.get("const") {
            return word.clone();
        }
        let kinds = schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
        match kinds[self.below(kinds.len())].as_str().expect("a type") {
            "object" => self.object(owner, schema),
            "array" => {
                let count = self.below(4);
                (0..count).map(|_| self.value(owner, "", &schema["items"])).collect()
            }
            "string" => self.pick(TEXTS).into(),
            "boolean" => (self.below(2) == 0).into(),
            "number" => 0.5.into(),
            "integer" => self.integer(schema),
            other => panic!("unknown type {other}"),
        }
    }

    fn integer(&mut self, schema: &Value) -> Value {
        let most = schema.get("maximum").and_then(Value::as_i64).unwrap_or(i64::from(u32::MAX));
        let most = u64::try_from(most).expect("a positive bound");
        let least = if schema.get("minimum").is_some() { 68 } else { 0 };
        (least + u64::from(self.rng.next_u32()) % (most - least)).into()
    }

    /// Give what a schema's words do not tell: texts with a grammar, names that must differ.
    fn special(&mut self, owner: &str, key: &str) -> Option<String> {
        self.names += 1;
        let number = self.names;
        Some(match (owner, key) {
            ("Container", "name") => format!("name {number} of {}", self.rng.next_u32()),
            // The same in different manifests now and then.
            ("Volume", "name") => format!("volume-{number}"),
            ("Volume", _) if key == "image" => format!("registry.example.org:5000/image:{number}"),
            ("Kernel", "image") => ["", "kernel", "oci:dir"][self.below(3)].to_owned(),
            ("Manifest", "hostname") => format!("host-{number}"),
            ("Boot", "stub") => "my.efi.stub".to_owned(),
            ("Match", "name" | "driver") => self.pick(&["eth0", "en*", "?"]).to_owned(),
            ("Reference", _) => {
                let digest = format!("a/b@sha256:{}", "0123456789abcdef".repeat(4));
                let forms =
                    ["redis", "builtin", "docker.io/redis", "ghcr.io/a/b:c", "rootfs:x y", "oci-archive:a:b", &digest];
                self.pick(&forms).to_owned()
            }
            ("Cidr", _) => self.pick(&["10.0.0.2/8", "::1/128", "0.0.0.0/0"]).to_owned(),
            ("Address", _) => self.pick(&["10.0.0.2", "fd00::1"]).to_owned(),
            ("Destination", _) => "default".to_owned(),
            ("TimeServer", _) => self.pick(&["time.example.org", "[fd00::1]:1123"]).to_owned(),
            ("Listen", _) => self.pick(&["0.0.0.0:9100", "[::]:1"]).to_owned(),
            ("StorageDisk" | "StoragePartition", "name" | "label") => format!("n{number}"),
            ("StorageDisk" | "StoragePartition", "mount") => format!("/mnt/m{number}"),
            ("DiskMatch", "path") => "/dev/vd*".to_owned(),
            ("SizeMatch", _) => self.pick(&[">=1G", "<=2T", "512M"]).to_owned(),
            ("KeySource", "file") => format!("/run/keys/{number}"),
            ("LogServer", _) => self.pick(&["udp://10.0.2.2:514", "tcp://[fd00::2]:1"]).to_owned(),
            ("Mac", _) => "52:54:00:12:34:56".to_owned(),
            ("Provider", _) => self.pick(&["nocloud", "aws", "file=/etc/userdata"]).to_owned(),
            ("Mode", _) => self.pick(&["", "0", "0644", "7777"]).to_owned(),
            ("Period", _) => self.pick(&["0", "1s", "2m", "1h30m5.5s", "500ms"]).to_owned(),
            ("Signal", _) => self.pick(&["SIGINT", "15", "RTMIN+1"]).to_owned(),
            ("HealthTest", _) => "true".to_owned(),
            ("HttpProbe", _) => "http://[::1]/x".to_owned(),
            ("TcpProbe", _) => self.pick(&["80", "localhost:80"]).to_owned(),
            ("Restart", _) => self.pick(&["no", "always", "on-failure", "on-failure:3", "unless-stopped"]).to_owned(),
            _ => return None,
        })
    }

    fn object(&mut self, owner: &str, schema: &Value) -> Value {
        let mut object = Map::new();
        for (key, part) in schema["properties"].as_object().into_iter().flatten() {
            let required = schema["required"].as_array().is_some_and(|keys| keys.iter().any(|known| known == key));
            // Most keys of a container stay away, or every case would be a page.
            if required || self.below(4) == 0 {
                object.insert(key.clone(), self.value(owner, key, part));
            }
        }
        if let Some(rest) = schema.get("additionalProperties").filter(|rest| rest.is_object()) {
            for _ in 0..self.below(3) {
                let key = if owner == "Network" || owner == "Manifest" {
                    format!("key{}", self.below(9))
                } else {
                    self.pick(TEXTS).to_owned()
                };
                let value = self.value(owner, "", rest);
                object.insert(key, value);
            }
        }
        match owner {
            "File" => {
                object.retain(|key, _| !["directory", "symlink", "source", "metadata"].contains(&key.as_str()));
                object.insert("path".to_owned(), "etc/file".into());
                object.insert("contents".to_owned(), self.pick(TEXTS).into());
            }
            // Links stand on other rules, and only one kind at a time.
            "NetworkRule" => object.retain(|key, _| !["vlan", "bond", "bridge", "wireguard"].contains(&key.as_str())),
            // What is kept is what is written.
            "Volume" if object.get("persistent") == Some(&true.into()) => drop(object.remove("readonly")),
            // Whole seconds, and not too many.
            "Boot" => object.retain(|key, _| key != "watchdog"),
            // Only one probe at a time, and waits that are not none.
            "Healthcheck" => object
                .retain(|key, _| !["http", "tcp", "interval", "timeout", "start_interval"].contains(&key.as_str())),
            // What it names is not there.
            "Logs" => object.retain(|key, _| key == "forward"),
            "HostMetadata" => object.retain(|key, _| key == "allow"),
            // A disk has a file system or partitions; what is wiped needs a name, options need a mount, and no wait is too long.
            "StorageDisk"
                if object.get("partitions").and_then(Value::as_array).is_some_and(|list| !list.is_empty()) =>
            {
                object.retain(|key, _| ["name", "match", "optional", "partitions"].contains(&key.as_str()));
            }
            "StorageDisk" | "StoragePartition" => {
                object.retain(|key, _| {
                    !["partitions", "wipe", "timeout", "options", "label", "size"].contains(&key.as_str())
                });
                object.insert("format".to_owned(), "btrfs".into());
                if owner == "StoragePartition" {
                    object.insert("size".to_owned(), "64M".into());
                }
            }
            // One source, and registers that there are.
            "KeySource" => {
                object.retain(|key, _| key == "tpm");
                object.entry("tpm").or_insert_with(|| Map::new().into());
            }
            "Tpm" => object.clear(),
            "Modules" => {
                for list in object.values_mut() {
                    *list = serde_json::json!(["ext4", "virtio-net"]);
                }
            }
            _ => (),
        }
        Value::Object(object)
    }
}
