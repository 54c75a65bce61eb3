//! Lines of an earlier boot: the host sends all of them, as they are in its files.

use super::{CtlError, Wire};
use crate::control::protocol::{Line, LogsWanted, Reply, Request, Stream};

/// Fetch those that are wanted.
pub(super) fn lines(wire: &mut Wire, boot: i64, wanted: &LogsWanted) -> Result<Vec<Line>, CtlError> {
    let (mut text, mut complaint) = (Vec::new(), String::new());
    let code = wire.each(Request::Past { boot }, |reply| {
        match reply {
            Reply::Output { stream: Stream::Stdout, bytes } => text.extend(bytes.0),
            Reply::Output { stream: Stream::Stderr, bytes } => complaint.push_str(&String::from_utf8_lossy(&bytes.0)),
            _ => {}
        }
        Ok(())
    })?;
    if code != 0 {
        return Err(CtlError::Refused(complaint.trim().to_owned()));
    }
    let all = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok());
    let mine = |line: &Line| wanted.services.is_empty() || wanted.services.contains(&line.service);
    let lines: Vec<Line> = all.filter(mine).collect();
    let tail = wanted.tail.map_or(lines.len(), |tail| usize::try_from(tail).unwrap_or(usize::MAX));
    let skip = lines.len().saturating_sub(tail);
    Ok(lines.into_iter().skip(skip).collect())
}
