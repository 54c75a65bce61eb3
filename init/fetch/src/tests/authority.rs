//! An authority that signs one certificate, made by `openssl` for one test.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

/// The files of an authority and of the server whose name it vouches for, 127.0.0.1.
#[derive(Debug)]
pub(crate) struct Authority {
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        let run = |words: &str| openssl(folder.path(), words);
        run(&format!("req -x509 {key} -days 30 -subj /CN=authority -keyout ca.key -out ca.pem"));
        let name = "-subj /CN=server -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
        run(&format!("req -x509 {key} -days 30 {name} -CA ca.pem -CAkey ca.key -keyout server.key -out server.pem"));
        Self { folder }
    }

    /// Give the authority's certificate.
    pub(crate) fn pem(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("ca.pem")).expect("a certificate")
    }

    /// Give what the server introduces itself with.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let file = |name: &str| self.folder.path().join(name);
        let certificate = CertificateDer::from_pem_file(file("server.pem")).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(file("server.key")).expect("a key");
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("versions of TLS").with_no_client_auth();
        Arc::new(builder.with_single_cert(vec![certificate], key).expect("a key of this certificate"))
    }
}

fn openssl(folder: &Path, words: &str) {
    let output = Command::new("openssl").args(words.split(' ')).current_dir(folder).output();
    let output = output.expect("openssl is installed");
    assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
}
