//! Answers that go on: printed lines and events. A reader remembers how far it is; what it reads stays where it is kept, so a caller
//! that does not keep up costs nothing, and is told what it missed.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::time::Duration;

use super::link::Link;
use crate::control::protocol::{self, Event, LogsWanted, Reply, What};
use crate::host::{Host, Kind, millis};
use crate::logs::{Line, Ring, Stream};
use crate::sys::Sys;

/// Events that are kept.
const KEPT: usize = 1024;

/// What has happened, the last of it.
#[derive(Debug, Default)]
pub(super) struct Events {
    list: VecDeque<Event>,
    forgotten: u64,
}

impl Events {
    pub(super) fn push(&mut self, uptime: Duration, what: What) {
        self.list.push_back(Event { uptime: millis(uptime), what });
        if self.list.len() > KEPT {
            self.list.pop_front();
            self.forgotten += 1;
        }
    }

    fn get(&self, number: u64) -> Option<&Event> {
        self.list.get(usize::try_from(number.checked_sub(self.forgotten)?).ok()?)
    }
}

/// Whose lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Init,
    Kernel,
    Unit(usize),
}

/// A call that goes on.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) id: u64,
    what: Reading,
}

#[derive(Debug)]
enum Reading {
    /// The number of the next event.
    Events(u64),
    Lines {
        wanted: LogsWanted,
        next: BTreeMap<Source, u64>,
        /// What is there by the first turn is passed over.
        anew: bool,
    },
}

impl Reader {
    pub(super) fn events(id: u64) -> Self {
        Self { id, what: Reading::Events(0) }
    }

    /// All lines, those that are there included unless `again`.
    pub(super) fn everything(again: bool) -> Self {
        let wanted = LogsWanted { services: Vec::new(), follow: true, tail: None };
        Self { id: 0, what: Reading::Lines { wanted, next: BTreeMap::new(), anew: again } }
    }

    /// It is over once all was sent that is there.
    pub(super) fn finish(&mut self) {
        if let Reading::Lines { wanted, .. } = &mut self.what {
            wanted.follow = false;
        }
    }

    /// Out: nothing if one of the names is nobody's.
    pub(super) fn lines<S>(id: u64, wanted: LogsWanted, host: &Host<S>) -> Result<Self, String> {
        let all = sources(host, &[]);
        if let Some(name) = wanted.services.iter().find(|name| !all.iter().any(|(known, _)| known == *name)) {
            let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
            return Err(format!("there is no `{name}`; there are {}", names.join(", ")));
        }
        let mut next = BTreeMap::new();
        if let Some(tail) = wanted.tail {
            // The last of all of them, whosever they are.
            let mut all: Vec<(u64, Source, u64)> = Vec::new();
            for (_, source) in sources(host, &wanted.services) {
                let ring = ring(host, source);
                next.insert(source, ring.next());
                all.extend(ring.lines().zip(ring.first()..).map(|(line, number)| (line.at, source, number)));
            }
            all.sort_unstable();
            let skip = all.len().saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX));
            for (_, source, number) in all.into_iter().skip(skip) {
                next.entry(source).and_modify(|first| *first = number.min(*first));
            }
        }
        Ok(Self { id, what: Reading::Lines { wanted, next, anew: false } })
    }

    /// Send what there is to send while the caller keeps up. Out: whether there may be more some day.
    pub(super) fn fill<S: Sys>(&mut self, link: &mut Link, host: &Host<S>, events: &Events) -> bool {
        match &mut self.what {
            Reading::Events(next) => {
                *next = (*next).max(events.forgotten);
                while link.has_room()
                    && let Some(event) = events.get(*next)
                {
                    link.answer(self.id, Reply::Event(event.clone()));
                    *next += 1;
                }
                true
            }
            Reading::Lines { wanted, next, anew } => {
                let sources = sources(host, &wanted.services);
                if std::mem::take(anew) {
                    next.extend(sources.iter().map(|(_, source)| (*source, ring(host, *source).next())));
                }
                let clock = millis(host.sys.clock().saturating_sub(host.sys.uptime()));
                while link.has_room() {
                    let Some(line) = oldest(host, &sources, next, clock) else {
                        if !wanted.follow {
                            link.answer(self.id, Reply::Done { code: 0 });
                        }
                        return wanted.follow;
                    };
                    link.answer(self.id, Reply::Line(line));
                }
                true
            }
        }
    }
}

/// Take the oldest line that was not sent yet. In: `clock`, the time at which the kernel started.
fn oldest<S>(
    host: &Host<S>,
    sources: &[(&str, Source)],
    next: &mut BTreeMap<Source, u64>,
    clock: u64,
) -> Option<protocol::Line> {
    let waiting = sources.iter().filter_map(|(name, source)| {
        let ring = ring(host, *source);
        let wanted = next.get(source).copied().unwrap_or_default();
        let number = wanted.max(ring.first());
        Some((ring.get(number)?, number, number - wanted, *source, *name))
    });
    let (line, number, dropped, source, name) = waiting.min_by_key(|(line, ..)| line.at)?;
    next.insert(source, number + 1);
    Some(protocol::Line {
        service: name.to_owned(),
        stream: stream(line),
        uptime: line.at,
        time: clock.saturating_add(line.at),
        text: String::from_utf8_lossy(&line.text).into_owned(),
        dropped,
    })
}

fn stream(line: &Line) -> protocol::Stream {
    match line.stream {
        Stream::Out => protocol::Stream::Stdout,
        Stream::Err => protocol::Stream::Stderr,
    }
}

/// Everybody with one of these names who prints; everybody at all if there are no names.
fn sources<'a, S>(host: &'a Host<S>, names: &[String]) -> Vec<(&'a str, Source)> {
    let units = host.units.iter().enumerate().filter(|(_, unit)| !matches!(unit.kind, Kind::Probe(_)));
    let units = units.map(|(position, unit)| (unit.name.as_str(), Source::Unit(position)));
    let all = [(protocol::KERNEL, Source::Kernel), (protocol::INIT, Source::Init)].into_iter().chain(units);
    all.filter(|(name, _)| names.is_empty() || names.iter().any(|wanted| wanted == name)).collect()
}

fn ring<S>(host: &Host<S>, source: Source) -> &Ring {
    match source {
        Source::Init => &host.journal,
        Source::Kernel => host.kernel.ring(),
        Source::Unit(position) => &host.units[position].ring,
    }
}
