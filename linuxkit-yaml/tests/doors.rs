//! Labels, recipes, packages, and texts that are no manifests at all.

use linuxkit_yaml::{ContainerConfig, Id, MAX_BYTES, from_yaml, parse, parse_label, parse_with_packages};
use serde::Deserialize;

#[test]
fn label_gives_its_keys() {
    let label = parse_label(r#"{"binds": ["/a:/b"], "uid": 7, "resources": {"blockIO": {"weight": 10}}}"#, "nginx");
    let label = label.expect("a right label");
    assert_eq!(label.binds.map(|binds| binds[0].value.clone()).as_deref(), Some("/a:/b"));
    assert_eq!(label.uid.map(|uid| uid.value), Some(Id::Number(7)));
    // The spelling that `linuxkit pkg build` writes and `linuxkit build` refuses.
    assert_eq!(label.resources.and_then(|resources| resources.blockio).and_then(|limits| limits.weight), Some(10));
}

#[test]
fn empty_label_gives_nothing() {
    assert_eq!(parse_label("", "nginx"), Ok(ContainerConfig::default()));
}

#[test]
fn wrong_labels_name_the_image() {
    for (text, message) in [
        ("[1]", "1:1: expected a mapping, found a list"),
        ("{name: web}", "1:2: `name` is not a key of a container"),
        ("{image: web}", "1:2: `image` is not a key of a container"),
        ("{colour: blue}", "1:2: `colour` is not a key of a container"),
        ("{devices: [{mode: 0666}]}", "1:19: expected text, found the number `0666`"),
    ] {
        let error = parse_label(text, "nginx").unwrap_err().to_string();
        let expected = format!("label `org.mobyproject.config` of `nginx`:{message}\n");
        assert!(error.starts_with(&expected), "{error}\n{expected}");
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    image: String,
    tag: Option<String>,
    network: Option<bool>,
    config: Option<ContainerConfig>,
}

#[test]
fn recipe_holds_a_container_and_takes_scalars_for_text() {
    let text = "image: 7\ntag:\nnetwork: yes\nconfig:\n  devices: [{path: /dev/kmsg, mode: 0666}]\n  uidMappings: [{hostid: 5}]\n";
    let recipe: Recipe = from_yaml(text, "build.yml").expect("a right recipe");
    let config = recipe.config.expect("a container");
    assert_eq!((recipe.image.as_str(), recipe.tag, recipe.network), ("7", None, Some(true)));
    let mode = config.devices.as_ref().and_then(|devices| devices[0].mode.as_ref()).expect("a mode");
    assert_eq!((mode.bits, mode.text.as_str(), mode.at.line), (0o666, "0666", 5));
    assert_eq!(config.uid_mappings.map(|mappings| mappings[0].host_id), Some(5));
}

#[test]
fn recipe_gets_the_messages_of_manifests() {
    let error = from_yaml::<Recipe>("image: a\nconfig:\n  comand: []\n", "build.yml").unwrap_err().to_string();
    let expected =
        "build.yml:3:3: `comand` is not a key of `config`\n    3 |   comand: []\n      |   ^^^^^^ nearest: command";
    assert_eq!(error, expected);
}

#[test]
fn package_stands_for_its_image_wherever_it_is_written() {
    let text =
        "init: ['@pkg:./init']\nservices: [{name: a, image: '@pkg:./a', env: ['@pkg:./a', 'A=@pkg:./a', '@other']}]";
    let mut packages = |path: &str| Ok(format!("example{}:1", path.trim_start_matches('.')));
    let manifest = parse_with_packages(text, "a.yml", &mut packages).expect("a right manifest");
    assert_eq!(
        manifest.images().map(|(image, _)| image.to_string()).collect::<Vec<_>>(),
        ["docker.io/example/init:1", "docker.io/example/a:1"]
    );
    let env = manifest.services[0].config.env.as_deref().expect("an environment");
    assert_eq!(env, ["example/a:1", "A=@pkg:./a", "@other"]);
}

#[test]
fn missing_package_is_an_error_where_it_stands() {
    let mut packages = |path: &str| Err(format!("there is no `{path}/build.yml`"));
    let error = parse_with_packages("services: [{name: a, image: '@pkg:b'}]", "a.yml", &mut packages).unwrap_err();
    assert_eq!(error.diagnostics.len(), 1, "{error}");
    assert!(error.to_string().starts_with("a.yml:1:29: `@pkg:b`: there is no `b/build.yml`\n"), "{error}");
}

#[test]
fn text_beyond_the_limit_is_refused_unread() {
    let error = parse(vec![b'a'; 100_000_000], "big.yml").unwrap_err();
    assert_eq!(error.to_string(), "big.yml: the manifest is longer than 4 MiB");
    assert!(parse(" ".repeat(MAX_BYTES), "blank.yml").unwrap_err().to_string().ends_with("the manifest is empty"));
}

#[test]
fn more_problems_than_anyone_reads_end_the_search() {
    let text = format!("init: [{}]", "A, ".repeat(2_000));
    let error = parse(text, "wrong.yml").unwrap_err();
    assert_eq!(error.diagnostics.len(), 1_001);
    assert!(error.to_string().ends_with("wrong.yml: there are too many problems to look for all of them"));
}

#[test]
fn init_is_builtin_if_absent_or_named() {
    for (text, builtin) in [("{}", true), ("init: []", false), ("init: [a]", false), ("init: [a, builtin]", true)] {
        assert_eq!(parse(text, "a.yml").expect("a right manifest").builtin_init(), builtin, "{text}");
    }
}
