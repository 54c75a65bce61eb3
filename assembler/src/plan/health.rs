//! How a service's health is checked: the manifest's entry over the image's label over the image's `HEALTHCHECK`, key by key.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hullkit_init::contract::{Health, Probe};
use linuxkit_yaml::{Endpoint, HealthTest, Healthcheck, Period, Spanned};
use serde::Deserialize;

/// What holds where nobody says anything else.
///
/// Source: Moby, `daemon/health.go`; Compose specification, `05-services.md`, section `healthcheck`.
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;

/// What runs a line of a `CMD-SHELL`.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The part of an image's configuration that is Docker's alone.
///
/// Source: Moby, `image/spec/specs-go/v1/image.go`: `HealthcheckConfig`.
#[derive(Deserialize)]
struct Configuration {
    config: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(rename = "Healthcheck")]
    healthcheck: Option<OfImage>,
}

/// Times in nanoseconds; what is 0 or empty is not said.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct OfImage {
    test: Vec<String>,
    interval: u64,
    timeout: u64,
    start_period: u64,
    start_interval: u64,
    retries: u32,
}

/// Read an image's `HEALTHCHECK`. In: its configuration. Out: nothing if there is none, or none that means anything.
pub(super) fn of_image(configuration: &[u8]) -> Option<Healthcheck> {
    let image = serde_json::from_slice::<Configuration>(configuration).ok()?.config?.healthcheck?;
    let period = |nanos: u64| Some(Spanned::unplaced(Period(Duration::from_nanos(nanos)))).filter(|_| nanos > 0);
    Some(Healthcheck {
        test: Some(Spanned::unplaced(HealthTest::from_words(&image.test).ok()?)),
        interval: period(image.interval),
        timeout: period(image.timeout),
        start_period: period(image.start_period),
        start_interval: period(image.start_interval),
        retries: Some(Spanned::unplaced(image.retries)).filter(|retries| retries.value > 0),
        ..Healthcheck::default()
    })
}

/// Compile what is said of a service's health.
///
/// In: `said`, the strongest first. Out: nothing if it is not to be checked. The error: there are keys, and nothing to check by.
pub(super) fn compile(said: &[&Healthcheck]) -> Result<Option<Health>, &'static str> {
    let off = |check: &Healthcheck| {
        check.disable == Some(true) || check.test.as_ref().is_some_and(|test| test.value == HealthTest::None)
    };
    // Whoever is stronger than one that switches it off may name a probe of its own.
    let Some(first) = said.iter().position(|check| off(check) || probe(check).is_some()) else {
        return if said.is_empty() {
            Ok(None)
        } else {
            Err("this health check has no `test`, `http` or `tcp`, and the image none either")
        };
    };
    let Some(probe) = said.get(first).filter(|check| !off(check)).and_then(|check| probe(check)) else {
        return Ok(None);
    };
    let time = |key: fn(&Healthcheck) -> &Option<Spanned<Period>>, default: Duration| {
        let given = said.iter().find_map(|check| key(check).as_ref()).map_or(default, |period| period.value.0);
        // A container that is to be asked without a pause is asked all the time.
        u64::try_from(given.as_millis()).unwrap_or(u64::MAX)
    };
    Ok(Some(Health {
        probe,
        interval: time(|check| &check.interval, INTERVAL).max(1),
        timeout: time(|check| &check.timeout, TIMEOUT).max(1),
        retries: said.iter().find_map(|check| check.retries.as_ref()).map_or(RETRIES, |retries| retries.value),
        start_period: time(|check| &check.start_period, Duration::ZERO),
        start_interval: time(|check| &check.start_interval, START_INTERVAL).max(1),
    }))
}

/// What one health check does.
fn probe(check: &Healthcheck) -> Option<Probe> {
    if let Some(http) = &check.http {
        let (addresses, host) = (addresses(http.endpoint), http.endpoint.to_string());
        return Some(Probe::Http { addresses, host, path: http.path.clone() });
    }
    if let Some(tcp) = &check.tcp {
        return Some(Probe::Tcp(addresses(tcp.0)));
    }
    match &check.test.as_ref()?.value {
        HealthTest::None => None,
        HealthTest::Command(words) => Some(Probe::Exec(words.clone())),
        HealthTest::Shell(line) => {
            Some(Probe::Exec(SHELL.into_iter().chain([line.as_str()]).map(str::to_owned).collect()))
        }
    }
}

/// Where a probe connects to: to the container itself by both versions of IP, because it may listen for one alone.
fn addresses(endpoint: Endpoint) -> Vec<SocketAddr> {
    let own = || vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let list = endpoint.address.map_or_else(own, |address| vec![address]);
    list.into_iter().map(|address| SocketAddr::new(address, endpoint.port)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Healthcheck {
        linuxkit_yaml::from_yaml(text, "test").unwrap()
    }

    const IMAGE: &str = r#"{"architecture":"amd64","config":{"Healthcheck":{"Test":["CMD-SHELL","curl -f localhost"],
        "Interval":5000000000,"Retries":7}}}"#;

    #[test]
    fn defaults_are_dockers() {
        let health = compile(&[&check("tcp: 80")]).unwrap().unwrap();
        let addresses = ["127.0.0.1:80", "[::1]:80"].map(|address| address.parse().unwrap()).to_vec();
        let want = Health {
            probe: Probe::Tcp(addresses),
            interval: 30_000,
            timeout: 30_000,
            retries: 3,
            start_period: 0,
            start_interval: 5_000,
        };
        assert_eq!(health, want);
    }

    #[test]
    fn the_images_check_holds_key_by_key_unless_it_is_overridden() {
        let image = of_image(IMAGE.as_bytes()).unwrap();
        let shell = |line: &str| Probe::Exec(["/bin/sh", "-c", line].map(str::to_owned).to_vec());
        let cases = [
            ("{}", Some((shell("curl -f localhost"), 5_000, 7))),
            ("interval: 1s", Some((shell("curl -f localhost"), 1_000, 7))),
            ("{test: 'true', retries: 1}", Some((shell("true"), 5_000, 1))),
            ("test: [CMD, a, b]", Some((Probe::Exec(vec!["a".to_owned(), "b".to_owned()]), 5_000, 7))),
            ("disable: true", None),
            ("test: [NONE]", None),
        ];
        for (text, want) in cases {
            let got = compile(&[&check(text), &image]).unwrap();
            assert_eq!(got.map(|health| (health.probe, health.interval, health.retries)), want, "{text}");
        }
    }

    #[test]
    fn a_check_that_checks_nothing_is_an_error_and_no_check_is_none() {
        compile(&[&check("interval: 1s")]).unwrap_err();
        assert_eq!(compile(&[]), Ok(None));
        for text in ["{}", r#"{"config":{}}"#, r#"{"config":{"Healthcheck":{"Test":[]}}}"#, "no JSON"] {
            assert_eq!(of_image(text.as_bytes()), None, "{text}");
        }
        let off = of_image(br#"{"config":{"Healthcheck":{"Test":["NONE"]}}}"#).unwrap();
        assert_eq!(compile(&[&off]), Ok(None));
        assert!(compile(&[&check("http: http://localhost"), &off]).unwrap().is_some());
    }
}
