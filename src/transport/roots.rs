//! Which certificate authorities are trusted.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::environment::Environment;
use crate::error::ConfigFault;
use crate::secret::text_file::shown;

const FILE: &str = "SSL_CERT_FILE";
const FOLDERS: &str = "SSL_CERT_DIR";

/// The authorities of `SSL_CERT_FILE` and `SSL_CERT_DIR` when one of them is set, of the platform
/// otherwise, and those given in code.
///
/// # Errors
///
/// A variable that names nothing readable, certificates in code that are none, or no authority at all.
pub(super) fn load(environment: &Environment, pem: &[Vec<u8>]) -> Result<RootCertStore, Vec<ConfigFault>> {
    let mut faults = Vec::new();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(from_environment(environment, &mut faults));
    for pem in pem {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let (added, _) = roots.add_parsable_certificates(certificates.unwrap_or_default());
        if added == 0 {
            faults.push(ConfigFault::new(
                "root_certificate",
                "holds no certificate; expected PEM text with `BEGIN CERTIFICATE`",
            ));
        }
    }
    if roots.is_empty() && faults.is_empty() {
        faults.push(nobody_to_trust(environment));
    }
    if faults.is_empty() { Ok(roots) } else { Err(faults) }
}

fn nobody_to_trust(environment: &Environment) -> ConfigFault {
    let set = |name| environment.variable(name).filter(|value| !value.is_empty()).map(|value| (name, value));
    match [FILE, FOLDERS].into_iter().find_map(set) {
        Some((name, value)) => empty(name, &shown(Path::new(&value))),
        None => ConfigFault::new(
            FILE,
            "is not set and the platform has no certificate authorities; install them or name a PEM file",
        ),
    }
}

fn empty(variable: &str, path: &str) -> ConfigFault {
    ConfigFault::new(
        variable,
        format!("names {path}, which holds no readable certificate; expected PEM text"),
    )
}

fn from_environment(
    environment: &Environment,
    faults: &mut Vec<ConfigFault>,
) -> Vec<CertificateDer<'static>> {
    let file = environment.variable(FILE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let folders: Vec<PathBuf> = environment
        .variable(FOLDERS)
        .map(|paths| std::env::split_paths(&paths).filter(|path| !path.as_os_str().is_empty()).collect())
        .unwrap_or_default();
    if file.is_none() && folders.is_empty() {
        // A platform store with some unreadable entries is still a store.
        return load_native_certs().certs;
    }
    let mut certificates = Vec::new();
    if let Some(path) = file {
        let loaded = load_certs_from_paths(Some(&path), None);
        certificates.extend(checked(FILE, &path, loaded, true, faults));
    }
    for folder in folders {
        let loaded = load_certs_from_paths(None, Some(&folder));
        certificates.extend(checked(FOLDERS, &folder, loaded, false, faults));
    }
    certificates
}

fn checked(
    variable: &str,
    path: &Path,
    loaded: CertificateResult,
    must_hold_some: bool,
    faults: &mut Vec<ConfigFault>,
) -> Vec<CertificateDer<'static>> {
    let CertificateResult { certs, errors, .. } = loaded;
    if certs.is_empty() && (must_hold_some || !errors.is_empty()) {
        let shown = shown(path);
        let fault = empty(variable, &shown);
        // The loader's errors show the path.
        let cause = errors.into_iter().next().filter(|_| shown == path.display().to_string());
        faults.push(match cause {
            Some(error) => fault.with_source(error),
            None => fault,
        });
    }
    certs
}
