//! Which services may start, and which may stop. Pure.
//!
//! The assembler has made sure that dependencies lead to services and never in a circle. Here a contract is foreign all the same:
//! what it says wrongly keeps a service from starting, and no host from going down.

use crate::contract::{Condition, Container, Dependency};

/// What has become of a service, as far as others wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// It has run.
    pub started: bool,
    /// Its health check has passed, and it runs.
    pub healthy: bool,
    /// It is not started again; whether it ended with exit code 0.
    pub over: Option<bool>,
}

impl Standing {
    /// Tell whether this is what is waited for; nothing if it never will be.
    fn meets(self, condition: Condition) -> Option<bool> {
        match (condition, self.over) {
            (Condition::Started, _) if self.started => Some(true),
            (Condition::Healthy, _) if self.healthy => Some(true),
            (Condition::Completed, Some(true)) => Some(true),
            (_, None) => Some(false),
            (_, Some(_)) => None,
        }
    }
}

/// Whether a service may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open,
    /// It has to wait.
    Closed,
    /// It never will: this dependency cannot be met any more.
    Shut(Dependency),
}

/// Look at what a service waits for. In: `standing`, by position in the contract; nothing if there is no such service.
pub fn gate(depends_on: &[Dependency], standing: impl Fn(usize) -> Option<Standing>) -> Gate {
    let mut gate = Gate::Open;
    for one in depends_on {
        match standing(one.service).and_then(|now| now.meets(one.condition)) {
            Some(true) => {}
            Some(false) => gate = Gate::Closed,
            None => return Gate::Shut(*one),
        }
    }
    gate
}

/// Choose the services that may be stopped now: those that run and that none that runs depends on, be it by way of one that has
/// ended; the last first.
///
/// In: `runs`, whether a service has a process, by position. Out: positions; at least one if any runs, even in a circle.
pub fn stoppable(services: &[Container], runs: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut needed = vec![false; services.len()];
    let mut open: Vec<usize> = (0..services.len()).filter(|position| runs(*position)).collect();
    while let Some(service) = open.pop().and_then(|position| services.get(position)) {
        for one in &service.depends_on {
            if needed.get(one.service) == Some(&false) {
                needed[one.service] = true;
                open.push(one.service);
            }
        }
    }
    let running = || (0..services.len()).rev().filter(|position| runs(*position));
    let free: Vec<usize> = running().filter(|position| !needed[*position]).collect();
    if free.is_empty() { running().collect() } else { free }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STARTED: Standing = Standing { started: true, healthy: false, over: None };

    fn on(service: usize, condition: Condition) -> Dependency {
        Dependency { service, condition }
    }

    #[test]
    fn a_condition_is_met_is_waited_for_or_cannot_be_met_any_more() {
        let never = Standing::default();
        let healthy = Standing { healthy: true, ..STARTED };
        let over = |well| Standing { over: Some(well), ..STARTED };
        let unstarted = Standing { over: Some(false), ..never };
        let cases = [
            (Condition::Started, never, Some(false)),
            (Condition::Started, STARTED, Some(true)),
            (Condition::Started, over(false), Some(true)),
            (Condition::Started, unstarted, None),
            (Condition::Healthy, STARTED, Some(false)),
            (Condition::Healthy, healthy, Some(true)),
            (Condition::Healthy, over(true), None),
            (Condition::Completed, STARTED, Some(false)),
            (Condition::Completed, over(true), Some(true)),
            (Condition::Completed, over(false), None),
        ];
        for (condition, standing, want) in cases {
            assert_eq!(standing.meets(condition), want, "{condition:?} {standing:?}");
        }
    }

    #[test]
    fn one_that_cannot_be_met_outweighs_those_that_are_waited_for() {
        let list = [on(0, Condition::Healthy), on(1, Condition::Completed), on(7, Condition::Started)];
        let standing = |number: usize| [Some(STARTED), Some(Standing { over: Some(false), ..STARTED })][number];
        assert_eq!(gate(&list[..1], standing), Gate::Closed);
        assert_eq!(gate(&list[..2], standing), Gate::Shut(list[1]));
        assert_eq!(gate(&list[2..], |_| None), Gate::Shut(list[2]));
        assert_eq!(gate(&[], |_| None), Gate::Open);
    }

    /// Services that depend on these positions.
    fn services(edges: &[Vec<usize>]) -> Vec<Container> {
        let service = |(number, on): (usize, &Vec<usize>)| {
            let list: Vec<Dependency> =
                on.iter().map(|service| Dependency { service: *service, condition: Condition::Started }).collect();
            let list = serde_json::to_string(&list).unwrap();
            let text = format!(
                r#"{{"name":"{number}","image":"","lower":"","readonly":true,"spec":{{"ociVersion":"1.0.0"}},"depends_on":{list}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        edges.iter().enumerate().map(service).collect()
    }

    fn graph() -> impl Strategy<Value = Vec<Vec<usize>>> {
        prop::collection::vec(prop::collection::vec(0_usize..10, 0..4), 0..8)
    }

    proptest! {
        #[test]
        fn without_circles_all_start_after_what_they_need_and_stop_before_it(edges in graph()) {
            // Only to those before: no circles.
            let edges: Vec<Vec<usize>> =
                edges.iter().enumerate().map(|(at, on)| on.iter().copied().filter(|on| *on < at).collect()).collect();
            let services = services(&edges);
            let mut started = vec![false; services.len()];
            for _ in 0..services.len() {
                let before = started.clone();
                for (at, service) in services.iter().enumerate() {
                    let standing = |number: usize| Some(Standing { started: before[number], ..Standing::default() });
                    if gate(&service.depends_on, standing) == Gate::Open {
                        prop_assert!(edges[at].iter().all(|on| before[*on]));
                        started[at] = true;
                    }
                }
            }
            prop_assert!(started.iter().all(|started| *started));
            let mut running = started;
            while running.contains(&true) {
                for position in stoppable(&services, |at| running[at]) {
                    let needs = |at: &usize| running[*at] && edges[*at].contains(&position);
                    prop_assert!(!(0..running.len()).any(|at| needs(&at)));
                    running[position] = false;
                }
            }
        }

        #[test]
        fn whatever_depends_on_whatever_all_come_to_their_end(edges in graph()) {
            let services = services(&edges);
            let mut running = vec![true; services.len()];
            while running.contains(&true) {
                let next = stoppable(&services, |at| running[at]);
                prop_assert!(!next.is_empty());
                next.iter().for_each(|position| running[*position] = false);
            }
        }
    }
}
