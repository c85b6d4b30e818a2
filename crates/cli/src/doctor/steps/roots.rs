//! The certificate authorities that the crate would trust here.

use std::path::PathBuf;

use rustls::RootCertStore;
use rustls_native_certs::{load_certs_from_paths, load_native_certs};

use super::super::surroundings::Surroundings;

/// The authorities, and where they are from.
pub(crate) fn load(surroundings: &Surroundings) -> (RootCertStore, String) {
    let value = |name| surroundings.variable(name).filter(|value| !value.is_empty());
    let (file, folders) = (value("SSL_CERT_FILE").map(PathBuf::from), value("SSL_CERT_DIR"));
    let mut certificates = Vec::new();
    let mut from = Vec::new();
    if let Some(path) = &file {
        certificates.extend(load_certs_from_paths(Some(path), None).certs);
        from.push(format!("SSL_CERT_FILE ({})", path.display()));
    }
    for folder in folders.iter().flat_map(|folders| std::env::split_paths(folders)) {
        certificates.extend(load_certs_from_paths(None, Some(&folder)).certs);
        from.push(format!("SSL_CERT_DIR ({})", folder.display()));
    }
    if from.is_empty() {
        certificates = load_native_certs().certs;
        from.push("the platform".to_owned());
    }
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    (roots, format!("{added} from {}", from.join(" and ")))
}
