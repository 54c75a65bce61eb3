//! From an address to a file: tries, ranges, progress.

use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode};

use crate::error::{Broken, chain};
use crate::target::Target;
use crate::{FetchError, Order, client};

/// Pause before the second try; each further one is twice as long, and the first again after something came.
const PAUSE: Duration = Duration::from_millis(250);

/// Longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(8);

/// Time between two lines that tell how far it is.
const TELL: Duration = Duration::from_secs(3);

/// Fetch a root: go on where a connection broke, and check every byte of it.
///
/// In: `say`, which shows a line to people. Out: [`Order::file`] is the root.
///
/// # Errors
///
/// - Any [`FetchError`].
pub async fn fetch(order: &Order, say: &mut dyn FnMut(&str)) -> Result<(), FetchError> {
    fetch_with(&client::client(order.built)?, order, say).await
}

/// The same with a client that is there.
pub(crate) async fn fetch_with(client: &Client, order: &Order, say: &mut dyn FnMut(&str)) -> Result<(), FetchError> {
    let mut target = Target::create(&order.file, order.size)?;
    let mut progress = Progress::new(order.size, say);
    let mut pause = PAUSE;
    while !target.is_whole() {
        let best = progress.best;
        let Some(broken) = one_try(client, order, &mut target, &mut progress).await? else { continue };
        if progress.best > best {
            pause = PAUSE;
        } else if progress.since.elapsed() >= order.patience {
            return Err(FetchError::Stalled { seconds: order.patience.as_secs(), last: broken });
        }
        (progress.say)(&format!("{}; going on at byte {}", chain(&broken), target.have()));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
    progress.done();
    target.check(order.digest)
}

/// Ask for what is missing, and take what comes. Out: why there will be no more of it, unless all has come.
async fn one_try(
    client: &Client,
    order: &Order,
    target: &mut Target<'_>,
    progress: &mut Progress<'_>,
) -> Result<Option<Broken>, FetchError> {
    let (from, last) = (target.have(), order.size.saturating_sub(1));
    let request = client.get(order.url.clone());
    let request = request.header(RANGE, format!("bytes={from}-{last}")).header(ACCEPT_ENCODING, "identity");
    let mut response = match request.send().await.map_err(reqwest::Error::without_url) {
        Ok(response) => response,
        Err(cause) if cause.is_redirect() => return Err(FetchError::Address(cause)),
        Err(cause) => return Ok(Some(Broken::Connection(cause))),
    };
    match response.status() {
        StatusCode::PARTIAL_CONTENT => check_range(&response, from, order.size)?,
        StatusCode::OK => {
            // It knows no ranges, and sends all of it.
            if let Some(found) = response.content_length().filter(|found| *found != order.size) {
                return Err(FetchError::Length { found, size: order.size });
            }
            target.restart()?;
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            return Ok(Some(Broken::Busy(response.status())));
        }
        status if status.is_server_error() => return Ok(Some(Broken::Busy(status))),
        status => return Err(FetchError::Status(status)),
    }
    loop {
        match response.chunk().await.map_err(reqwest::Error::without_url) {
            Ok(Some(bytes)) => target.append(&bytes)?,
            Ok(None) if target.is_whole() => return Ok(None),
            Ok(None) => return Ok(Some(Broken::Short { have: target.have() })),
            Err(cause) => return Ok(Some(Broken::Connection(cause))),
        }
        progress.at(target.have());
    }
}

/// Make sure that a part is the one that was asked for, of a file of the right length.
///
/// # Source
///
/// RFC 9110, 14.4: `bytes FIRST-LAST/LENGTH`, where the length may be `*`.
fn check_range(response: &Response, from: u64, size: u64) -> Result<(), FetchError> {
    let sent =
        response.headers().get(CONTENT_RANGE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let sent = sent.unwrap_or_default();
    let parts = sent.strip_prefix("bytes ").and_then(|rest| rest.split_once('/'));
    let parts = parts.and_then(|(range, length)| Some((range.split_once('-')?, length)));
    let Some(((first, last), length)) = parts else { return Err(FetchError::Range { from, sent }) };
    if let Some(found) = length.parse().ok().filter(|found| *found != size) {
        return Err(FetchError::Length { found, size });
    }
    let last = last.parse().ok().filter(|last| (from..size).contains(last));
    match (first.parse() == Ok(from), last) {
        (true, Some(_)) => Ok(()),
        _ => Err(FetchError::Range { from, sent }),
    }
}

/// How far it is, for people and for patience.
struct Progress<'s> {
    say: &'s mut dyn FnMut(&str),
    size: u64,
    /// Most bytes that there were at once: a server without ranges starts anew.
    best: u64,
    /// When there were more than ever before.
    since: Instant,
    /// When the first byte was asked for.
    start: Instant,
    /// When it was told, and how many bytes there were.
    told: (Instant, u64),
}

impl<'s> Progress<'s> {
    fn new(size: u64, say: &'s mut dyn FnMut(&str)) -> Self {
        let now = Instant::now();
        Self { say, size, best: 0, since: now, start: now, told: (now, 0) }
    }

    /// Take note of so many bytes.
    fn at(&mut self, have: u64) {
        let now = Instant::now();
        if have > self.best {
            (self.best, self.since) = (have, now);
        }
        let (at, before) = self.told;
        if now >= at + TELL {
            let rate = rate(have.saturating_sub(before), now - at);
            (self.say)(&format!("{} of {} MiB, {rate}", have >> 20, self.size.div_ceil(1 << 20)));
            self.told = (now, have);
        }
    }

    fn done(&mut self) {
        let took = self.start.elapsed();
        let line = format!("{} MiB in {:.1} s", self.size.div_ceil(1 << 20), took.as_secs_f64());
        (self.say)(&format!("{line}, {}", rate(self.size, took)));
    }
}

/// Write a speed for people.
fn rate(bytes: u64, time: Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or_default().max(1);
    format!("{} KiB/s", bytes.saturating_mul(1000) / (millis << 10))
}
