//! In which order modules are loaded: dependencies that the symbols force, and soft ones that their authors ask for.

use std::collections::{BTreeMap, BTreeSet};

use super::{Found, ModulesError};
use hullkit_init::modalias;

/// Most modules that one may need, itself not counted; the deepest of Debian's kernels needs 30.
const NEEDS_MAX: usize = 1 << 10;
/// Most soft dependencies followed; a distribution's kernel has 300.
const SOFT_MAX: usize = 1 << 12;

/// Load order of every module: what must be loaded before it, transitive, in order.
///
/// In: modules by name; names that are built in. Out: one list a module, in the order of `found`; positions count in that order.
///
/// # Errors
///
/// - [`ModulesError::Cycle`]: hard dependencies in a circle. Soft ones that would close a circle are dropped.
/// - [`ModulesError::TooMany`]: one of the limits above.
pub(super) fn needs(
    found: &BTreeMap<String, Found>,
    builtin: &BTreeSet<String>,
) -> Result<Vec<Vec<u32>>, ModulesError> {
    let positions: BTreeMap<&str, u32> = found.keys().map(String::as_str).zip(0..).collect();
    let hard =
        |module: &Found| module.depends.iter().filter_map(|name| positions.get(name.as_str()).copied()).collect();
    let mut graph = Graph(found.values().map(hard).collect());
    for (name, at) in &positions {
        if graph.edges(*at).iter().any(|&need| graph.reaches(need, *at)) {
            return Err(ModulesError::Cycle { name: (*name).to_owned() });
        }
    }
    if found.values().map(|module| module.softdeps.len()).sum::<usize>() > SOFT_MAX {
        return Err(ModulesError::TooMany { what: "soft dependencies", max: SOFT_MAX });
    }
    for (module, at) in found.values().zip(0..) {
        // Soft dependencies go first, as `modprobe` does it.
        for target in module.softdeps.iter().rev().flat_map(|name| resolve(name, found, &positions, builtin)) {
            if !graph.reaches(target, at) {
                graph.insert(at, target);
            }
        }
    }
    (0..).take(found.len()).map(|at| graph.order(at)).collect()
}

/// Modules that a soft dependency means: the one of that name, or else every one with such an alias.
fn resolve(
    name: &str,
    found: &BTreeMap<String, Found>,
    positions: &BTreeMap<&str, u32>,
    builtin: &BTreeSet<String>,
) -> Vec<u32> {
    if let Some(&at) = positions.get(name) {
        return vec![at];
    }
    if builtin.contains(name) {
        return Vec::new();
    }
    let has_alias = |module: &Found| module.aliases.iter().any(|alias| modalias::matches(alias, name));
    found.values().zip(0..).filter(|(module, _)| has_alias(module)).map(|(_, at)| at).collect()
}

/// For every module the positions of those it needs itself.
struct Graph(Vec<Vec<u32>>);

impl Graph {
    fn edges(&self, at: u32) -> &[u32] {
        self.0.get(at as usize).map_or(&[], Vec::as_slice)
    }

    fn insert(&mut self, at: u32, target: u32) {
        if let Some(edges) = self.0.get_mut(at as usize).filter(|edges| !edges.contains(&target)) {
            edges.insert(0, target);
        }
    }

    /// Tell whether `from` needs `to`, or is it.
    fn reaches(&self, from: u32, to: u32) -> bool {
        let (mut seen, mut open) = (BTreeSet::from([from]), vec![from]);
        while let Some(at) = open.pop() {
            if at == to {
                return true;
            }
            open.extend(self.edges(at).iter().filter(|&&next| seen.insert(next)));
        }
        false
    }

    /// All that `at` needs, each after its own needs. The stack is ours: a hostile chain must not exhaust the thread's.
    fn order(&self, at: u32) -> Result<Vec<u32>, ModulesError> {
        let (mut seen, mut done) = (BTreeSet::from([at]), Vec::new());
        let mut open = vec![(at, self.edges(at).iter())];
        while let Some((current, rest)) = open.last_mut() {
            match rest.next() {
                Some(&next) if seen.insert(next) => open.push((next, self.edges(next).iter())),
                Some(_) => {}
                None => {
                    done.push(*current);
                    open.pop();
                }
            }
            if seen.len() > NEEDS_MAX {
                return Err(ModulesError::TooMany { what: "modules needed by one", max: NEEDS_MAX });
            }
        }
        done.pop();
        Ok(done)
    }
}
