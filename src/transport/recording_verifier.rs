//! The verification of a server's certificate, which records the certificate.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::environment::Environment;
use crate::error::{BoxError, ConfigError};
use crate::secret::bounded_read::bounded;
use crate::transport::roots::Authorities;
use crate::transport::tls::{LOAD_LIMIT, provider};

/// Decides as rustls does by default.
#[derive(Debug)]
pub(super) struct RecordingVerifier {
    verifier: Arc<WebPkiServerVerifier>,
    certificate: Mutex<Option<Vec<u8>>>,
}

impl RecordingVerifier {
    /// A configuration with such a verifier, and the authorities that it trusts, for people. Blocks.
    ///
    /// # Errors
    ///
    /// Every fault of the authorities, and that there is no provider.
    pub(super) fn configured(
        environment: &Environment,
        own: &[Vec<u8>],
    ) -> Result<(ClientConfig, Arc<Self>, String), BoxError> {
        let authorities = Arc::new(Authorities::of(environment, own));
        let provider = provider().map_err(ConfigError::one)?;
        let read =
            bounded(&authorities.place(), Arc::clone(&authorities), LOAD_LIMIT, |files| Ok(files.load()));
        let read = read.map_err(|cause| ConfigError::one(authorities.unread(cause, LOAD_LIMIT)))?;
        let roots = read.map_err(|faults| ConfigError::all(None, faults))?;
        let trusted = format!("{} from {}", roots.len(), authorities.origin());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let recording = Arc::new(Self { verifier: verifier.build()?, certificate: Mutex::default() });
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&recording) as _)
            .with_no_client_auth();
        Ok((config, recording, trusted))
    }

    /// In DER form, if the server sent one.
    pub(super) fn certificate(&self) -> Option<Vec<u8>> {
        self.certificate.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for RecordingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = Some(end_entity.as_ref().to_vec());
        *self.certificate.lock().unwrap_or_else(PoisonError::into_inner) = certificate;
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
