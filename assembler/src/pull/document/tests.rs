use serde_json::{Value, json};

use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn entry(kind: &str) -> Value {
    json!({"mediaType": kind, "digest": format!("sha256:{HEX}"), "size": 3})
}

fn on(os: &str, architecture: &str) -> Value {
    let mut entry = entry(MANIFESTS[0]);
    entry["platform"] = json!({"os": os, "architecture": architecture, "variant": "v8", "os.version": "1"});
    entry
}

fn parsed(value: &Value) -> Result<Document, PullError> {
    Document::parse(value.to_string().as_bytes(), "image")
}

fn entries(values: &[Value]) -> Vec<Entry> {
    match parsed(&json!({"schemaVersion": 2, "manifests": values})).unwrap() {
        Document::Index(entries) => entries,
        Document::Manifest(_) => panic!("an index was read as a manifest"),
    }
}

#[test]
fn entries_without_platform_and_attestations_are_passed_over() {
    let mut null = entry(MANIFESTS[0]);
    null["platform"] = Value::Null;
    let list =
        entries(&[entry(MANIFESTS[0]), null, on("unknown", "unknown"), on("windows", "amd64"), on("linux", "arm64")]);
    assert_eq!(choose_next(&list, Arch::Arm64, "image").unwrap().platform.as_ref().unwrap().os, "linux");
    let error = choose_next(&list, Arch::Amd64, "image").unwrap_err().to_string();
    assert_eq!(error, "`image` has no image for linux/amd64; it has linux/arm64, windows/amd64");
}

#[test]
fn the_only_entry_of_a_layout_needs_no_platform() {
    for only in [entry(MANIFESTS[0]), entry(INDEXES[1])] {
        choose_next(&entries(&[only]), Arch::Amd64, "image").unwrap();
    }
    let other = entries(&[on("linux", "s390x")]);
    assert!(matches!(choose_next(&other, Arch::Amd64, "image"), Err(PullError::Platform { .. })));
}

#[test]
fn layers_that_cannot_be_unpacked_are_refused_by_type() {
    for (kind, want) in [
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", Ok(Compression::Gzip)),
        ("application/vnd.oci.image.layer.v1.tar+zstd", Ok(Compression::Zstd)),
        ("application/vnd.oci.image.layer.v1.tar", Ok(Compression::None)),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Err("is not to be distributed")),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Err("is not to be distributed")),
        ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", Err("is of a type that cannot be unpacked")),
        ("", Err("is of a type that cannot be unpacked")),
    ] {
        let entry = &entries(&[entry(kind)])[0];
        match (compression(entry, "image"), want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want),
            (Err(error), Err(want)) => assert!(error.to_string().contains(want), "{error}"),
            (got, _) => panic!("{kind}: {got:?}"),
        }
    }
}

#[test]
fn manifest_and_configuration_must_agree_on_the_layers() {
    let manifest =
        json!({"schemaVersion": 2, "config": entry(""), "layers": [entry("application/vnd.oci.image.layer.v1.tar")]});
    let Document::Manifest(manifest) = parsed(&manifest).unwrap() else { panic!("a manifest was read as an index") };
    for (diff_ids, fits) in [(vec![], false), (vec![format!("sha256:{HEX}")], true)] {
        let text = json!({"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": diff_ids}}).to_string();
        let config = config(text.as_bytes(), Arch::Amd64, "image").unwrap();
        assert_eq!(layers(&manifest, &config, "image").is_ok(), fits);
    }
}

#[test]
fn a_configuration_for_another_machine_is_refused_and_one_for_none_in_particular_taken() {
    for (os, architecture, taken) in
        [("linux", "amd64", true), ("linux", "arm64", false), ("windows", "amd64", false), ("", "", true)]
    {
        let text = json!({"architecture": architecture, "os": os}).to_string();
        match config(text.as_bytes(), Arch::Amd64, "image") {
            Ok(_) => assert!(taken, "{os}/{architecture}"),
            Err(PullError::Platform { .. }) => assert!(!taken, "{os}/{architecture}"),
            Err(other) => panic!("{os}/{architecture}: {other}"),
        }
    }
}

#[test]
fn digests_that_are_none_are_refused_before_anything_is_opened() {
    let mut bad = entry("");
    bad["digest"] = json!("sha256:../../../etc/passwd");
    assert!(matches!(parsed(&json!({"schemaVersion": 2, "manifests": [bad]})), Err(PullError::Malformed { .. })));
    let many = vec![entry(""); LAYERS_MAX + 1];
    parsed(&json!({"schemaVersion": 2, "config": entry(""), "layers": many})).unwrap_err();
}

#[test]
fn an_entry_is_for_its_platform_and_for_that_without_the_variant() {
    let entry = |platform: &str| {
        let text = format!(r#"{{"digest":"sha256:{}","size":1,"platform":{platform}}}"#, "0".repeat(64));
        serde_json::from_str::<Entry>(&text).unwrap()
    };
    let arm = entry(r#"{"os":"linux","architecture":"arm","variant":"v7"}"#);
    let attestation = entry(r#"{"os":"unknown","architecture":"unknown"}"#);
    let nameless = entry("null");
    for (platform, want) in
        [("linux/arm/v7", true), ("linux/arm", true), ("linux/arm/v6", false), ("linux/arm64", false)]
    {
        assert_eq!(arm.is_for(platform), want, "{platform}");
        assert!(!attestation.is_for(platform) && !nameless.is_for(platform));
    }
}
