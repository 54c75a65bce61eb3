//! One call: what is done for it at once, and what is remembered of it.

use super::MOST_SESSIONS;
use super::follow::Reader;
use super::hand::{self, Wish};
use super::session::Session;
use super::{metrics, state};
use crate::container::Section;
use crate::control::protocol::{Call, Exec, How, Reply, Request, VERSION};
use crate::host::{Host, ITSELF, Kind};
use crate::sys::{Power, Started, Sys};

/// Do what a caller wants.
pub(super) fn call<S: Sys>(host: &mut Host<S>, link: u64, call: Call) {
    let id = call.id;
    if let Err(message) = act(host, link, call)
        && let Some(link) = host.control.links.get_mut(&link)
    {
        link.fail(id, message);
    }
}

fn act<S: Sys>(host: &mut Host<S>, link: u64, Call { id, request }: Call) -> Result<(), String> {
    let wish = |host: &mut Host<S>, name: &str, wish| {
        let waiting = hand::act(host, (link, id), name, wish)?;
        host.control.waiting.push(waiting);
        Ok::<(), String>(())
    };
    match request {
        Request::Hello => {
            let init = env!("CARGO_PKG_VERSION").to_owned();
            reply(host, link, id, vec![Reply::Hello { version: VERSION, init }]);
        }
        Request::Ps => {
            let replies = state::services(host).into_iter().map(Reply::Service).collect();
            reply(host, link, id, replies);
        }
        Request::Boot => {
            let replies = host.timeline.iter().cloned().map(Reply::Stage).collect();
            reply(host, link, id, replies);
        }
        Request::Metrics => {
            let text = metrics::text(host);
            reply(host, link, id, vec![Reply::Text { text }]);
        }
        Request::Logs(wanted) => {
            let reader = Reader::lines(id, wanted, host)?;
            follow(host, link, reader);
        }
        Request::Past { boot } => past(host, link, id, boot)?,
        Request::Events => follow(host, link, Reader::events(id)),
        Request::Start(named) => wish(host, &named.service, Wish::Start)?,
        Request::Stop(named) => wish(host, &named.service, Wish::Stop)?,
        Request::Restart(named) => wish(host, &named.service, Wish::Restart)?,
        Request::Kill(named) => {
            hand::kill(host, &named.service)?;
            reply(host, link, id, Vec::new());
        }
        Request::Exec(exec) => run(host, link, id, &exec)?,
        Request::Input { bytes } => {
            if let Some(session) = session(host, link, id) {
                session.take(&bytes.0);
            }
        }
        Request::InputEnd => {
            if let Some(session) = session(host, link, id) {
                session.finish_input();
            }
        }
        Request::Cancel => cancel(host, link, id),
        Request::Power { how } => {
            reply(host, link, id, Vec::new());
            let power = match how {
                How::Off => Power::Off,
                How::Reboot => Power::Reboot,
                How::Halt => Power::Halt,
            };
            host.ask(power, "hullctl");
        }
    }
    Ok(())
}

/// Answer a call to its end.
fn reply<S>(host: &mut Host<S>, link: u64, id: u64, replies: Vec<Reply>) {
    if let Some(link) = host.control.links.get_mut(&link) {
        for reply in replies.into_iter().chain([Reply::Done { code: 0 }]) {
            link.answer(id, reply);
        }
    }
}

fn follow<S>(host: &mut Host<S>, link: u64, reader: Reader) {
    if let Some(link) = host.control.links.get_mut(&link) {
        link.readers.push(reader);
    }
}

fn session<S>(host: &mut Host<S>, link: u64, id: u64) -> Option<&mut Session> {
    host.control.sessions.iter_mut().find(|session| session.link == link && session.id == id)
}

/// Run the child that reads the files of an earlier boot.
fn past<S: Sys>(host: &mut Host<S>, link: u64, id: u64, boot: i64) -> Result<(), String> {
    room(host)?;
    let started = host.sys.program(ITSELF, &["past", &boot.to_string()]);
    let Started { pid, report, output: [log, _] } = started.map_err(|cause| format!("no process for it: {cause}"))?;
    host.control.sessions.push(Session::new(link, id, pid, None, [Some(report), Some(log)]));
    Ok(())
}

fn room<S>(host: &Host<S>) -> Result<(), String> {
    let full = host.control.sessions.len() >= MOST_SESSIONS;
    if full { Err(format!("{MOST_SESSIONS} programs run already")) } else { Ok(()) }
}

/// Run a program in a container.
fn run<S: Sys>(host: &mut Host<S>, link: u64, id: u64, exec: &Exec) -> Result<(), String> {
    if exec.command.is_empty() {
        return Err("there is no program to run".to_owned());
    }
    room(host)?;
    let contract = std::rc::Rc::clone(&host.contract);
    let is_container = |kind| matches!(kind, Kind::Container(..));
    let mut named = host.units.iter().filter(|unit| is_container(unit.kind) && unit.name == exec.service).peekable();
    if named.peek().is_none() {
        return Err(format!("there is no container `{}`, or its time has not come", exec.service));
    }
    let running = named.find_map(|unit| match (unit.kind, unit.pid()) {
        (Kind::Container(section, index), Some(pid)) => Some((section, index, pid)),
        _ => None,
    });
    let (section, index, pid): (Section, usize, u32) =
        running.ok_or_else(|| format!("`{}` does not run", exec.service))?;
    let container = Host::<S>::list(&contract, section).get(index).ok_or("the contract has changed")?;
    let filter = contract.filter(container).map_err(|cause| cause.to_string())?;
    let executed =
        host.sys.exec(container, filter, pid, exec).map_err(|cause| format!("no process for it: {cause}"))?;
    host.control.sessions.push(Session::new(link, id, executed.pid, executed.input, executed.output));
    Ok(())
}

/// Forget a call, and end what was started for it.
fn cancel<S: Sys>(host: &mut Host<S>, link: u64, id: u64) {
    if let Some(pid) = session(host, link, id).filter(|session| session.code().is_none()).map(|session| session.pid) {
        // Its end is its answer.
        let _ = host.sys.kill_session(pid);
        return;
    }
    host.control.waiting.retain(|call| (call.link, call.id) != (link, id));
    let Some(link) = host.control.links.get_mut(&link) else { return };
    let before = link.readers.len();
    link.readers.retain(|reader| reader.id != id);
    if link.readers.len() < before {
        link.answer(id, Reply::Done { code: 0 });
    }
}
