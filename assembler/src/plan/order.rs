//! Who waits for whom: names become positions, and what could never happen is told with its place.

use std::collections::{BTreeMap, BTreeSet};

use hullkit_init::contract::{self, Contract, Restart};
use linuxkit_yaml::{Condition, Container, Dependency, Diagnostic, Manifest, Section, nearest};

/// Tell what no image is needed for: names of nothing, and services that wait for each other.
pub(super) fn check(manifest: &Manifest) -> Vec<Diagnostic> {
    let mut problems: Vec<Diagnostic> =
        manifest.containers().flat_map(|(section, container)| names(manifest, section, container)).collect();
    problems.extend(circles(manifest));
    problems
}

/// Give every service of `system` what it waits for; what `onboot` has done by then is not waited for.
///
/// In: a manifest in which [`check`] finds nothing, and `system` with all its services, in the manifest's order.
pub(super) fn resolve(manifest: &Manifest, system: &mut Contract) -> Result<(), Vec<Diagnostic>> {
    let positions = positions(manifest);
    let mut problems = Vec::new();
    for (index, entry) in manifest.services.iter().enumerate() {
        let mut list = Vec::new();
        for one in &entry.depends_on.0 {
            let Some(&service) = positions.get(one.name.as_str()) else { continue };
            problems.extend(system.services.get(service).and_then(|other| unreachable(manifest, one, other)));
            list.push(contract::Dependency { service, condition: condition(one.condition) });
        }
        if let Some(service) = system.services.get_mut(index) {
            service.depends_on = list;
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn positions(manifest: &Manifest) -> BTreeMap<&str, usize> {
    manifest.services.iter().enumerate().map(|(index, service)| (service.name.as_str(), index)).collect()
}

fn condition(condition: Condition) -> contract::Condition {
    match condition {
        Condition::ServiceStarted => contract::Condition::Started,
        Condition::ServiceHealthy => contract::Condition::Healthy,
        Condition::ServiceCompletedSuccessfully => contract::Condition::Completed,
    }
}

/// Write a diagnostic at a name in `depends_on`.
fn at(manifest: &Manifest, one: &Dependency, message: String, hint: Option<&str>) -> Diagnostic {
    Diagnostic { hint: hint.map(str::to_owned), ..manifest.diagnose(&one.name.at, message) }
}

/// Tell why a service never gets to where another waits for it to be.
fn unreachable(manifest: &Manifest, one: &Dependency, other: &contract::Container) -> Option<Diagnostic> {
    let name = &one.name.value;
    let again = matches!(other.restart, Restart::Always | Restart::UnlessStopped);
    match one.condition {
        Condition::ServiceHealthy if other.health.is_none() => {
            let hint = "give it a `healthcheck`, or wait for `service_started`";
            Some(at(manifest, one, format!("`{name}` has no health check, so it never becomes healthy"), Some(hint)))
        }
        Condition::ServiceCompletedSuccessfully if again => {
            let hint = "give it `restart: on-failure` or `restart: \"no\"`";
            Some(at(
                manifest,
                one,
                format!("`{name}` is started again whenever it ends, so it never completes"),
                Some(hint),
            ))
        }
        _ => None,
    }
}

/// Find the names in a container's `depends_on` for which it cannot wait.
fn names(manifest: &Manifest, section: Section, container: &Container) -> Vec<Diagnostic> {
    let mut seen = BTreeSet::new();
    let wrong = |one: &Dependency| {
        let name = one.name.as_str();
        if !seen.insert(name.to_owned()) {
            return Some(at(manifest, one, format!("`{name}` stands here twice"), None));
        }
        let mut earlier = manifest.onboot.iter().take_while(|other| !std::ptr::eq(*other, container));
        let named = |other: &Container| other.name.value == name;
        let (service, onboot) = (manifest.services.iter().any(named), manifest.onboot.iter().any(named));
        match section {
            Section::Onshutdown => {
                let hint = "leave it out: they run one after another, as they stand there";
                Some(at(
                    manifest,
                    one,
                    "an `onshutdown` container waits for nothing but its turn".to_owned(),
                    Some(hint),
                ))
            }
            Section::Services if service => None,
            _ if !service && !onboot => Some(unknown(manifest, one)),
            Section::Onboot if !onboot => {
                Some(at(manifest, one, format!("`{name}` is a service, and they start when `onboot` is done"), None))
            }
            Section::Onboot if !earlier.any(named) => {
                let hint = "`onboot` containers run one after another, as they stand there";
                Some(at(manifest, one, format!("`{name}` does not run before `{}`", container.name.value), Some(hint)))
            }
            _ if one.condition == Condition::ServiceHealthy => {
                let hint = "wait for `service_completed_successfully`";
                Some(at(manifest, one, format!("`{name}` runs to its end, so it never becomes healthy"), Some(hint)))
            }
            _ => None,
        }
    };
    container.depends_on.0.iter().filter_map(wrong).collect()
}

fn unknown(manifest: &Manifest, one: &Dependency) -> Diagnostic {
    let name = one.name.as_str();
    let all = manifest.services.iter().chain(&manifest.onboot).map(|other| other.name.as_str());
    let message = format!("`{name}` is not a container of `services` or `onboot`");
    Diagnostic { suggestion: nearest(name, all), ..manifest.diagnose(&one.name.at, message) }
}

/// Where the search for circles stands with a service.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Not looked at.
    No,
    /// On the path that is followed.
    OnPath,
    /// Nothing behind it leads back.
    Done,
}

/// Find services that wait for each other, each circle once, at the name that closes it.
fn circles(manifest: &Manifest) -> Vec<Diagnostic> {
    let positions = positions(manifest);
    let mut seen = vec![Seen::No; manifest.services.len()];
    let mut problems = Vec::new();
    for start in 0..manifest.services.len() {
        // The path with how many names of each were followed: a manifest may be longer than the stack is deep.
        let mut path = vec![(start, 0)];
        while let Some((service, followed)) = path.last_mut() {
            let service = *service;
            if seen[service] == Seen::Done {
                path.pop();
                continue;
            }
            seen[service] = Seen::OnPath;
            let Some(one) = manifest.services[service].depends_on.0.get(*followed) else {
                seen[service] = Seen::Done;
                continue;
            };
            *followed += 1;
            let Some(&next) = positions.get(one.name.as_str()) else { continue };
            match seen[next] {
                Seen::No => path.push((next, 0)),
                Seen::OnPath => problems.push(circle(manifest, one, next, &path)),
                Seen::Done => {}
            }
        }
    }
    problems
}

fn circle(manifest: &Manifest, one: &Dependency, first: usize, path: &[(usize, usize)]) -> Diagnostic {
    let on_it = path.iter().map(|(service, _)| *service).skip_while(|service| *service != first).chain([first]);
    let names: Vec<&str> = on_it.map(|service| manifest.services[service].name.as_str()).collect();
    at(manifest, one, format!("`{}` waits for itself: {}", one.name.value, names.join(" -> ")), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Give what is found as `line:column message`.
    fn found(text: &str) -> Vec<String> {
        let manifest = linuxkit_yaml::parse(text.replace("IMAGE", "image: x"), "a.yml").unwrap();
        let list = check(&manifest);
        list.iter().map(|one| format!("{}:{} {}", one.line(), one.column(), one.message)).collect()
    }

    #[test]
    fn names_are_those_of_services_and_of_earlier_onboot_containers() {
        let cases: [(&str, &[&str]); 9] = [
            (
                "onboot: [{name: a, IMAGE}, {name: b, IMAGE, depends_on: [a]}]\nservices: [{name: c, IMAGE, depends_on: [a, b]}]",
                &[],
            ),
            (
                "services: [{name: web, IMAGE, depends_on: [bd]}, {name: db, IMAGE}]",
                &["1:47 `bd` is not a container of `services` or `onboot`"],
            ),
            ("services: [{name: a, IMAGE}, {name: b, IMAGE, depends_on: [a, a]}]", &["1:69 `a` stands here twice"]),
            (
                "onboot: [{name: a, IMAGE, depends_on: [b, a]}, {name: b, IMAGE}]",
                &["1:43 `b` does not run before `a`", "1:46 `a` does not run before `a`"],
            ),
            (
                "onboot: [{name: a, IMAGE, depends_on: [b]}]\nservices: [{name: b, IMAGE}]",
                &["1:43 `b` is a service, and they start when `onboot` is done"],
            ),
            (
                "onboot: [{name: a, IMAGE}]\nservices: [{name: b, IMAGE, depends_on: {a: {condition: service_healthy}}}]",
                &["2:45 `a` runs to its end, so it never becomes healthy"],
            ),
            (
                "onboot: [{name: a, IMAGE}]\nservices: [{name: b, IMAGE, depends_on: {a: {condition: service_completed_successfully}}}]",
                &[],
            ),
            (
                "onshutdown: [{name: a, IMAGE, depends_on: [b]}]\nservices: [{name: b, IMAGE}]",
                &["1:47 an `onshutdown` container waits for nothing but its turn"],
            ),
            // A service, if both have the name.
            (
                "onboot: [{name: a, IMAGE}]\nservices: [{name: a, IMAGE}, {name: b, IMAGE, depends_on: {a: {condition: service_healthy}}}]",
                &[],
            ),
        ];
        for (text, want) in cases {
            assert_eq!(found(text), want, "{text}");
        }
    }

    /// Resolve a manifest whose services were compiled as these, and give what is found, or who waits for what.
    fn resolved(text: &str, services: &[&str]) -> Result<Vec<Vec<contract::Dependency>>, Vec<String>> {
        let manifest = linuxkit_yaml::parse(text.replace("IMAGE", "image: x"), "a.yml").unwrap();
        let service = |more: &&str| {
            let text = r#"{"name":"","image":"","lower":"","readonly":true,"spec":{"ociVersion":"1.0.0"}MORE}"#;
            serde_json::from_str(&text.replace("MORE", more)).unwrap()
        };
        let mut system = Contract { services: services.iter().map(service).collect(), ..Contract::default() };
        match resolve(&manifest, &mut system) {
            Ok(()) => Ok(system.services.into_iter().map(|service| service.depends_on).collect()),
            Err(list) => {
                Err(list.iter().map(|one| format!("{}:{} {}", one.line(), one.column(), one.message)).collect())
            }
        }
    }

    #[test]
    fn names_become_positions_and_onboot_is_over_by_then() {
        let text =
            "onboot: [{name: seed, IMAGE}]\nservices: [{name: web, IMAGE, depends_on: [seed, db]}, {name: db, IMAGE}]";
        let dependency = contract::Dependency { service: 1, condition: contract::Condition::Started };
        assert_eq!(resolved(text, &["", ""]), Ok(vec![vec![dependency], vec![]]));
    }

    #[test]
    fn what_never_becomes_healthy_or_never_completes_cannot_be_waited_for() {
        let text = |condition: &str| {
            format!("services: [{{name: a, IMAGE, depends_on: {{b: {{condition: {condition}}}}}}}, {{name: b, IMAGE}}]")
        };
        let (healthy, completed) = (text("service_healthy"), text("service_completed_successfully"));
        let health = r#","health":{"probe":{"tcp":[]},"interval":1,"timeout":1,"retries":1,"start_period":0,"start_interval":1}"#;
        resolved(&healthy, &["", health]).unwrap();
        assert_eq!(
            resolved(&healthy, &["", ""]),
            Err(vec!["1:45 `b` has no health check, so it never becomes healthy".to_owned()])
        );
        for policy in [r#""no""#, r#"{"on-failure":3}"#] {
            resolved(&completed, &["", &format!(r#","restart":{policy}"#)]).unwrap();
        }
        assert_eq!(
            resolved(&completed, &["", ""]),
            Err(vec!["1:45 `b` is started again whenever it ends, so it never completes".to_owned()])
        );
    }

    #[test]
    fn each_circle_is_told_once_where_it_closes() {
        let cases: [(&str, &[&str]); 4] = [
            ("services: [{name: a, IMAGE, depends_on: [a]}]", &["1:45 `a` waits for itself: a -> a"]),
            (
                "services: [{name: a, IMAGE, depends_on: [b]}, {name: b, IMAGE, depends_on: [c]}, {name: c, IMAGE, depends_on: [b]}]",
                &["1:121 `b` waits for itself: b -> c -> b"],
            ),
            (
                "services: [{name: a, IMAGE, depends_on: [b, c]}, {name: b, IMAGE, depends_on: [c]}, {name: c, IMAGE}]",
                &[],
            ),
            (
                "services: [{name: a, IMAGE, depends_on: [b]}, {name: b, IMAGE, depends_on: [a, c]}, {name: c, IMAGE, depends_on: [a]}]",
                &["1:83 `a` waits for itself: a -> b -> a", "1:124 `a` waits for itself: a -> b -> c -> a"],
            ),
        ];
        for (text, want) in cases {
            assert_eq!(found(text), want, "{text}");
        }
    }

    #[test]
    fn a_long_chain_is_no_deep_stack() {
        let one = |number: usize| format!("{{name: a{number}, IMAGE, depends_on: [a{}]}}, ", number + 1);
        let chain: String = (0..20_000).map(one).collect();
        assert_eq!(found(&format!("services: [{chain}{{name: a20000, IMAGE}}]")), [""; 0]);
    }
}
