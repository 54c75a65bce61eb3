//! Logins, as Docker keeps them.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_client::secrets::RegistryAuth;

/// A login, or none and why.
pub(super) struct Login {
    /// What to introduce ourselves with.
    pub(super) auth: RegistryAuth,
    /// What the user should know: a login is configured, and cannot be used. Never holds a secret.
    pub(super) note: Option<String>,
}

/// Look up the login for a registry in `folder/config.json`, asking the credential helper it names, if any.
///
/// Nothing here is an error: an image may well be public, and if it is not, the registry will say so.
pub(super) fn find(folder: &Path, registry: &str) -> Login {
    let path = folder.join("config.json");
    let anonymous = |note| Login { auth: RegistryAuth::Anonymous, note };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return anonymous(None),
        Err(cause) => return anonymous(Some(format!("`{}` could not be read: {cause}", path.display()))),
    };
    match docker_credential::get_credential_from_reader(BufReader::new(file), key(registry)) {
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            Login { auth: RegistryAuth::Basic(user, password), note: None }
        }
        Ok(DockerCredential::IdentityToken(_)) => anonymous(Some(format!(
            "the login for `{registry}` is an identity token, which hullkit cannot use; going on without a login"
        ))),
        Err(error) => anonymous(complaint(&path, registry, &error)),
    }
}

/// Give the name under which Docker keeps a registry's login.
fn key(registry: &str) -> &str {
    match registry {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => "https://index.docker.io/v1/",
        other => other,
    }
}

/// Say why a login could not be read, unless there simply is none. What a helper printed is kept out of it.
fn complaint(path: &Path, registry: &str, error: &CredentialRetrievalError) -> Option<String> {
    let why = match error {
        CredentialRetrievalError::NoCredentialConfigured => return None,
        CredentialRetrievalError::HelperFailure { stdout, stderr, .. }
            if [stdout, stderr].into_iter().any(|text| text.contains("credentials not found")) =>
        {
            return None;
        }
        CredentialRetrievalError::HelperFailure { helper, .. } => format!("`{helper}` failed"),
        CredentialRetrievalError::HelperCommunicationError => {
            "the credential helper it names could not be started".to_owned()
        }
        CredentialRetrievalError::MalformedHelperResponse => "the credential helper's answer makes no sense".to_owned(),
        _ => format!("`{}` makes no sense", path.display()),
    };
    Some(format!("no login for `{registry}`: {why}; going on without one"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn login(config: &str, registry: &str) -> Login {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), config).unwrap();
        find(folder.path(), registry)
    }

    #[test]
    fn dockers_own_registry_is_found_under_its_old_address() {
        // dTpw is `u:p`.
        let config =
            r#"{"auths": {"https://index.docker.io/v1/": {"auth": "dTpw"}, "r.example:5000": {"auth": "dTpw"}}}"#;
        for registry in ["docker.io", "r.example:5000"] {
            assert_eq!(login(config, registry).auth, RegistryAuth::Basic("u".into(), "p".into()), "{registry}");
        }
        assert_eq!(login(config, "other.example").auth, RegistryAuth::Anonymous);
    }

    #[test]
    fn a_missing_file_or_login_is_silent() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(folder.path(), "r.example").note, None);
        assert_eq!(login("{}", "r.example").note, None);
    }

    #[test]
    fn a_broken_file_or_helper_is_told_without_its_text() {
        for config in [
            "secret",
            r#"{"credsStore": "no-such-helper"}"#,
            r#"{"auths": {"r.example": {"identitytoken": "secret"}}}"#,
        ] {
            let found = login(config, "r.example");
            assert_eq!(found.auth, RegistryAuth::Anonymous);
            let note = found.note.unwrap();
            assert!(note.contains("r.example") && !note.contains("secret"), "{note}");
        }
    }
}
