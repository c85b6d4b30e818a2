//! TLS to a Redis server: which authorities are trusted, and on whose cryptography.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::{CertificateResult, load_certs_from_paths};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tower_idaas::ConfigFault;
use tower_idaas::environment::Environment;

const FILE: &str = "SSL_CERT_FILE";
const FOLDERS: &str = "SSL_CERT_DIR";

/// A client that trusts the authorities of `SSL_CERT_FILE` and `SSL_CERT_DIR` when one of them is set, of the platform
/// otherwise, and those set in code.
///
/// # Errors
///
/// Every fault: a variable that leads to no certificate, certificates in code that are none, no authority at all, no
/// provider of cryptography.
pub(super) fn client_config(
    environment: &Environment,
    root_certificates: &[Vec<u8>],
) -> Result<ClientConfig, Vec<ConfigFault>> {
    let mut faults = Vec::new();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(from_environment(environment, &mut faults));
    for pem in root_certificates {
        // A block of a bundle that is no certificate does not spoil the others.
        let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
        if roots.add_parsable_certificates(certificates).0 == 0 {
            faults.push(ConfigFault::new(
                "root_certificate",
                "holds no certificate; expected PEM text with `BEGIN CERTIFICATE`",
            ));
        }
    }
    if roots.is_empty() && faults.is_empty() {
        let problem = "is not set and the platform has no certificate authorities; install them or set it to the path of \
                       a PEM file";
        faults.push(ConfigFault::new(FILE, problem));
    }
    let provider = provider().map_err(|fault| faults.push(fault)).ok();
    let Some(provider) = provider.filter(|_| faults.is_empty()) else { return Err(faults) };
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|cause| {
        vec![
            ConfigFault::new("token_store", "has no TLS: the provider offers no usable version")
                .with_source(cause),
        ]
    })?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// By name: the process-wide default is the program's to choose.
#[cfg(feature = "rustls-aws-lc-rs")]
#[allow(clippy::unnecessary_wraps)] // without the feature it may fail
fn provider() -> Result<Arc<CryptoProvider>, ConfigFault> {
    Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(not(feature = "rustls-aws-lc-rs"))]
fn provider() -> Result<Arc<CryptoProvider>, ConfigFault> {
    CryptoProvider::get_default().cloned().ok_or_else(|| {
        let problem = "has an address with TLS, and the process has no provider for it: call `install_default()` of a \
                       rustls provider in `main`, or enable the feature `rustls-aws-lc-rs` of `tower-idaas-redis`";
        ConfigFault::new("token_store", problem)
    })
}

fn from_environment(
    environment: &Environment,
    faults: &mut Vec<ConfigFault>,
) -> Vec<CertificateDer<'static>> {
    // A variable may be set and blank, as a compose file sets one that its environment lacks.
    let is_blank = |path: &OsStr| path.to_string_lossy().trim().is_empty();
    let file = environment.variable(FILE).filter(|path| !is_blank(path)).map(PathBuf::from);
    let folders = environment.variable(FOLDERS).unwrap_or_default();
    let folders: Vec<_> =
        std::env::split_paths(&folders).filter(|path| !is_blank(path.as_os_str())).collect();
    if file.is_none() && folders.is_empty() {
        return platform_certificates();
    }
    let mut certificates = Vec::new();
    if let Some(path) = file {
        // A pipe would be waited for.
        let loaded = match path.is_file() {
            true => load_certs_from_paths(Some(&path), None),
            false => CertificateResult::default(),
        };
        certificates.extend(checked(FILE, loaded, faults));
    }
    for path in folders {
        certificates.extend(checked(FOLDERS, load_certs_from_paths(None, Some(&path)), faults));
    }
    certificates
}

/// The certificates of the platform's store. A store with some unreadable entries is still a store.
fn platform_certificates() -> Vec<CertificateDer<'static>> {
    // `load_native_certs` reads the two variables itself, and takes a blank one for a path, so that it finds nothing.
    #[cfg(all(unix, not(target_vendor = "apple")))]
    {
        let openssl_probe::ProbeResult { cert_file, cert_dir } = openssl_probe::probe();
        let mut folders = cert_dir.iter().map(PathBuf::as_path);
        let mut certificates = load_certs_from_paths(cert_file.as_deref(), folders.next()).certs;
        certificates.extend(folders.flat_map(|folder| load_certs_from_paths(None, Some(folder)).certs));
        certificates.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
        certificates.dedup();
        certificates
    }
    #[cfg(not(all(unix, not(target_vendor = "apple"))))]
    rustls_native_certs::load_native_certs().certs
}

/// The certificates that were loaded. A file without any is a fault, an empty folder is not.
fn checked(
    variable: &str,
    loaded: CertificateResult,
    faults: &mut Vec<ConfigFault>,
) -> Vec<CertificateDer<'static>> {
    let CertificateResult { certs, errors, .. } = loaded;
    if certs.is_empty() && (variable == FILE || !errors.is_empty()) {
        // Neither path nor cause is shown: a secret may have been pasted into the wrong variable.
        let problem =
            "leads to no readable certificate; expected the path of PEM text with `BEGIN CERTIFICATE`";
        faults.push(ConfigFault::new(variable, problem));
    }
    certs
}

#[cfg(test)]
#[cfg(all(unix, not(target_vendor = "apple")))]
mod tests {
    use super::*;

    const CHILD: &str = "TEST_LOADS_ROOTS";

    /// How many certificates a process of its own loads where both variables have this value, or are not set.
    fn loaded_where_both_are(value: Option<&str>) -> String {
        let mut test = std::process::Command::new(std::env::current_exe().unwrap());
        test.args(["--exact", "--nocapture", "redis::tls::tests::a_blank_variable_is_as_good_as_none"]);
        test.env(CHILD, "yes").env_remove(FILE).env_remove(FOLDERS);
        if let Some(value) = value {
            test.env(FILE, value).env(FOLDERS, value);
        }
        let output = String::from_utf8(test.output().unwrap().stdout).unwrap();
        output.split("<loaded>").nth(1).unwrap().to_owned()
    }

    #[test]
    #[allow(clippy::print_stdout)] // read by the process that started this one
    fn a_blank_variable_is_as_good_as_none() {
        if Environment::Process.variable(CHILD).is_some() {
            let mut faults = Vec::new();
            let certificates = from_environment(&Environment::Process, &mut faults).len();
            println!("<loaded>{certificates}, {} faults<loaded>", faults.len());
            return;
        }
        let unset = loaded_where_both_are(None);
        for blank in ["", " ", "\t "] {
            assert_eq!(loaded_where_both_are(Some(blank)), unset, "{blank:?}");
        }
        assert_eq!(loaded_where_both_are(Some("/nowhere")), "0, 2 faults");
    }
}
