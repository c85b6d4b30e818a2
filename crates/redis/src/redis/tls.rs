//! TLS to a Redis server: which authorities are trusted, and on whose cryptography.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tower_idaas::ConfigFault;
use tower_idaas::environment::Environment;

use crate::redis::authorities::{self, FILE};

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
    match authorities::read(environment) {
        Ok(certificates) => drop(roots.add_parsable_certificates(certificates)),
        Err(unreadable) => faults.extend(unreadable),
    }
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
        let problem = "and SSL_CERT_DIR lead to no certificate authority, and the platform has none; install them, name a \
                       PEM file, or unset a blank variable, which hides the platform's on macOS and Windows";
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
