//! Whether services work, by what init says of them. Pure.

use std::time::Duration;

use hullkit_init::control::protocol::{Health, Service, State};
use linuxkit_yaml::test::Wanted;

/// How long a service without a health check must have run before it is believed.
const HELD: Duration = Duration::from_millis(500);

/// How init tells of a container that ended as it should.
const WELL: &str = "ended, exit code 0";

/// Say what keeps the wanted services from being well; nothing if they are.
pub(super) fn complaint(list: &[Service], wanted: &Wanted) -> Option<String> {
    let said: Vec<String> = match wanted {
        Wanted::All => list.iter().filter(|one| one.section == "services").filter_map(ill).collect(),
        Wanted::Named(names) => names
            .iter()
            .filter_map(|name| match list.iter().find(|one| one.name == *name) {
                Some(service) => ill(service),
                None => Some(unknown(list, name)),
            })
            .collect(),
    };
    (!said.is_empty()).then(|| said.join("; "))
}

/// Say that there is no such container.
pub(super) fn unknown(list: &[Service], name: &str) -> String {
    let known: Vec<&str> = list.iter().map(|one| one.name.as_str()).collect();
    match known.as_slice() {
        [] => format!("there is no `{name}`: the host has no containers"),
        known => format!("there is no `{name}`; there are {}", known.join(", ")),
    }
}

/// Tell whose lines explain a failure: of those that are not well, and those that had to be started again.
pub(super) fn suspects(list: &[Service]) -> impl Iterator<Item = &Service> {
    list.iter().filter(|one| one.restarts > 0 || (ill(one).is_some() && one.state != State::Created))
}

/// Say what is wrong with one; nothing if it works, or has done its work.
fn ill(service: &Service) -> Option<String> {
    let name = &service.name;
    let ended = || service.ended.as_ref().map(|ended| format!(", after it {ended}")).unwrap_or_default();
    let again = match service.restarts {
        0 => String::new(),
        count => format!(" (started again {count} times{})", ended()),
    };
    match (service.state, service.health) {
        (State::Running, Some(Health::Healthy)) => None,
        (State::Running, Some(Health::Unhealthy)) => Some(format!("`{name}` is unhealthy{again}")),
        (State::Running, Some(Health::Starting)) => Some(format!("`{name}` runs and is not healthy yet{again}")),
        (State::Running, None) => match service.age {
            Some(age) if Duration::from_millis(age) < HELD => {
                Some(format!("`{name}` has run for {age} ms only{again}"))
            }
            _ => None,
        },
        (State::Exited, _) if service.ended.as_deref() == Some(WELL) => None,
        (State::Exited, _) => Some(format!("`{name}` does not run{}", ended())),
        (State::Restarting, _) => Some(format!("`{name}` is about to be started again{}", ended())),
        (State::Created, _) => Some(format!("`{name}` was not started yet")),
        (State::Starting, _) => Some(format!("`{name}` is about to run{again}")),
        (State::Stopping, _) => Some(format!("`{name}` is about to end")),
    }
}

/// Say which services lost processes for want of memory.
pub(super) fn starved(list: &[Service]) -> Option<String> {
    let killed: Vec<String> = list
        .iter()
        .filter(|one| one.oom_kills.is_some_and(|kills| kills > 0))
        .map(|one| format!("`{}`", one.name))
        .collect();
    (!killed.is_empty()).then(|| format!("processes of {} were killed for want of memory", killed.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, state: State, health: Option<Health>) -> Service {
        Service { name: name.into(), section: "services".into(), state, health, age: Some(9000), ..Service::default() }
    }

    #[test]
    fn who_is_not_well_is_named_with_its_last_end() {
        let mut crashed = service("web", State::Restarting, None);
        crashed.ended = Some("ended, exit code 1".into());
        let done = Service { ended: Some(WELL.into()), ..service("page", State::Exited, None) };
        let fresh = Service { age: Some(12), ..service("new", State::Running, None) };
        let table = [
            (service("a", State::Running, None), None),
            (service("a", State::Running, Some(Health::Healthy)), None),
            (service("a", State::Running, Some(Health::Unhealthy)), Some("`a` is unhealthy")),
            (done, None),
            (fresh, Some("`new` has run for 12 ms only")),
            (crashed, Some("`web` is about to be started again, after it ended, exit code 1")),
            (service("a", State::Created, None), Some("`a` was not started yet")),
        ];
        for (one, want) in table {
            assert_eq!(complaint(&[one], &Wanted::All).as_deref(), want);
        }
    }

    #[test]
    fn only_those_that_are_wanted_count() {
        let list = [service("a", State::Running, None), service("b", State::Created, None)];
        assert_eq!(complaint(&list, &Wanted::Named(vec!["a".into()])), None);
        let nobody = complaint(&list, &Wanted::Named(vec!["c".into()]));
        assert_eq!(nobody.as_deref(), Some("there is no `c`; there are a, b"));
    }
}
