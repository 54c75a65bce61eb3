//! What is to be fetched. In: the words that PID 1 starts this program with. Out: an [`Order`]. Pure.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

/// What is to be fetched, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Where the root lies, `http` or `https`.
    pub url: Url,
    /// SHA-256 of the root, as the kernel command line has it.
    pub digest: [u8; 32],
    /// Length of the root in bytes, as the contract has it.
    pub size: u64,
    /// When the host was built, in seconds since 1970: a clock that is before it is not believed.
    pub built: u64,
    /// How long to go on without a byte that is new.
    pub patience: Duration,
    /// The file to write; it is made.
    pub file: PathBuf,
}

/// Words that are no order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Too few or too many.
    #[error("usage: hullkit-fetch URL SHA256 SIZE BUILT PATIENCE FILE")]
    Count,
    /// Another protocol, or no address.
    #[error("`{0}` cannot be fetched: only http:// and https:// can")]
    Url(String),
    /// No digest.
    #[error("`{0}` is no SHA-256: it has 64 hexadecimal digits")]
    Digest(String),
    /// No number.
    #[error("`{0}` is not a number")]
    Number(String),
}

impl Order {
    /// Read an order: address, digest, length, time of the build, patience in seconds, file.
    ///
    /// # Errors
    ///
    /// - [`OrderError`]: the first word that is wrong.
    pub fn parse(words: &[String]) -> Result<Self, OrderError> {
        let [url, digest, size, built, patience, file] = words else { return Err(OrderError::Count) };
        let number = |text: &String| text.parse::<u64>().map_err(|_| OrderError::Number(text.clone()));
        let known = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        Ok(Self {
            url: known.ok_or_else(|| OrderError::Url(url.clone()))?,
            digest: bytes(digest).ok_or_else(|| OrderError::Digest(digest.clone()))?,
            size: number(size)?,
            built: number(built)?,
            patience: Duration::from_secs(number(patience)?),
            file: file.into(),
        })
    }
}

/// Read 32 bytes in hexadecimal.
fn bytes(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Order, OrderError> {
        Order::parse(&words.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn an_order_is_six_words() {
        let digest = "0f".repeat(32);
        let order = parse(&format!("http://[::1]:8080/a/../root.img {digest} 4096 7 60 /run/root")).expect("an order");
        assert_eq!(order.url.as_str(), "http://[::1]:8080/root.img");
        assert_eq!((order.digest, order.size, order.built), ([15; 32], 4096, 7));
        assert_eq!((order.patience, order.file), (Duration::from_secs(60), "/run/root".into()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let digest = "0f".repeat(32);
        for (words, want) in [
            ("http://a/".to_owned(), OrderError::Count),
            (format!("tftp://a/b {digest} 1 1 1 f"), OrderError::Url("tftp://a/b".to_owned())),
            (format!("root.img {digest} 1 1 1 f"), OrderError::Url("root.img".to_owned())),
            ("http://a/ 0f 1 1 1 f".to_owned(), OrderError::Digest("0f".to_owned())),
            (format!("http://a/ {digest}0 1 1 1 f"), OrderError::Digest(format!("{digest}0"))),
            (format!("http://a/ {digest} -1 1 1 f"), OrderError::Number("-1".to_owned())),
        ] {
            assert_eq!(parse(&words).unwrap_err(), want, "{words}");
        }
    }
}
