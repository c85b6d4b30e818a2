//! Verifies a server's certificate as the crate would, and remembers it, trusted or not.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

/// Lets the handshake go on with a certificate that is not trusted, so that it can be described. The
/// caller asks for the verdict before anything is sent.
#[derive(Debug)]
pub(crate) struct Remembering {
    verifier: Arc<WebPkiServerVerifier>,
    seen: Mutex<Option<Seen>>,
}

/// What the server showed.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) verdict: Result<(), Error>,
}

impl Remembering {
    pub(crate) fn new(verifier: Arc<WebPkiServerVerifier>) -> Self {
        Self { verifier, seen: Mutex::default() }
    }

    pub(crate) fn seen(&self) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Remembering {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict =
            self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let seen = Seen { certificate: end_entity.clone().into_owned(), verdict: verdict.map(drop) };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        Ok(ServerCertVerified::assertion())
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
