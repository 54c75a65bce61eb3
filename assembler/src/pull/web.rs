//! Fetch a small text from any web server, with what the user said of certificates.

use reqwest::Url;
use reqwest::redirect::Policy;

use super::error::PullError;
use super::plain::body;
use super::registry::Registries;

/// Most redirects that are followed, as browsers do about it.
const REDIRECTS_MAX: usize = 10;

/// Give a web address without the name and password it may hold, for messages.
#[must_use]
pub fn without_login(url: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else { return url.to_owned() };
    if parsed.username().is_empty() && parsed.password().is_none() {
        return url.to_owned();
    }
    // Refused only for addresses that cannot hold a login.
    let _ = parsed.set_username("");
    let _ = parsed.set_password(None);
    parsed.into()
}

impl Registries {
    /// Fetch what a web address leads to.
    ///
    /// In: `url`, `http` or `https`, maybe with a login, which goes to no other host; `most`, bytes. Out: the body.
    /// Redirects are followed, but not from TLS to plain HTTP.
    ///
    /// # Errors
    ///
    /// - [`PullError::Web`]: no answer, another one than "here it is", or too long a one. [`PullError::Setup`].
    pub fn text(&self, url: &str, most: u64) -> Result<Vec<u8>, PullError> {
        let web = |reason: String, cause: Option<reqwest::Error>| PullError::Web {
            url: without_login(url),
            reason,
            // The address stands in the message already, and may hold a login.
            cause: cause.map(|cause| cause.without_url().into()),
        };
        let policy = Policy::custom(|attempt| {
            let before = attempt.previous();
            if before.len() > REDIRECTS_MAX {
                attempt.error("it redirects in circles")
            } else if attempt.url().scheme() != "https" && before.iter().any(|url| url.scheme() == "https") {
                attempt.error("it redirects from https to plain http")
            } else {
                attempt.follow()
            }
        });
        // Without the referer: an address may hold a token.
        let client = self.http(false)?.redirect(policy).referer(false);
        self.runtime()?.block_on(async {
            let client = client.build().map_err(|cause| PullError::Setup(cause.into()))?;
            let unanswered = |cause| web("no answer".to_owned(), Some(cause));
            let mut response = client.get(url).send().await.map_err(unanswered)?;
            if response.status() != 200 {
                return Err(web(format!("the server answered {}", response.status()), None));
            }
            let whole = body(&mut response, most).await.map_err(unanswered)?;
            whole.ok_or_else(|| web(format!("it is longer than {} MiB", most >> 20), None))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::without_login;

    #[test]
    fn messages_show_no_login() {
        for (url, shown) in [
            ("https://example.org/a.yml?b=c", "https://example.org/a.yml?b=c"),
            ("https://me:secret@example.org/a.yml", "https://example.org/a.yml"),
            ("http://me@[::1]:80/x", "http://[::1]/x"),
            ("https://", "https://"),
        ] {
            assert_eq!(without_login(url), shown);
        }
    }
}
