//! What a provider answered, before anybody has looked at it.

/// What a provider answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Who, as LinuxKit calls it.
    pub provider: String,
    /// Name of the host.
    pub hostname: Option<String>,
    /// Lines of `authorized_keys`.
    pub ssh_keys: Vec<String>,
    /// User data, any bytes.
    pub userdata: Option<Vec<u8>>,
    /// More files for `/run/config`: name, one path component, and content.
    pub facts: Vec<(&'static str, String)>,
}

impl Answer {
    /// Nothing yet from a provider.
    pub(crate) fn of(provider: &str) -> Self {
        Self { provider: provider.to_owned(), ..Self::default() }
    }

    /// Add a fact, if it is there.
    pub(crate) fn fact(&mut self, name: &'static str, value: Option<String>) {
        self.facts.extend(
            value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()).map(|value| (name, value)),
        );
    }

    /// Add keys that stand one on a line.
    pub(crate) fn keys(&mut self, text: &str) {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        self.ssh_keys.extend(lines.map(str::to_owned));
    }
}
