//! The TLS handshake: which version, whose certificate, and whether it is trusted here.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_idaas::BoxError;

use super::super::config_file::Endpoint;
use super::super::finding::{Finding, Step};
use super::super::shown;
use super::super::surroundings::Surroundings;
use super::certificate::Described;
use super::network::Stream;
use super::roots;
use super::verifier::Remembering;

/// The stream, once the certificate is trusted. An untrusted server gets nothing from us.
pub(crate) async fn examine<S: Stream>(
    below: S,
    endpoint: &Endpoint,
    limit: Duration,
    surroundings: &Surroundings,
) -> (Finding, Option<TlsStream<S>>) {
    let (roots, from) = roots::load(surroundings);
    if roots.is_empty() {
        return (no_authorities(Vec::new(), surroundings), None);
    }
    let start = Instant::now();
    let (verifier, connecting) = match handshake(below, endpoint, roots) {
        Ok(both) => both,
        Err(error) => return (no_name(&*error, endpoint), None),
    };
    let stream = match timeout(limit, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return (broken(&shown::chain(&error)), None),
        Err(_) => return (broken(&format!("no handshake within {limit:?}")), None),
    };
    let elapsed = start.elapsed();
    let Some(seen) = verifier.seen() else {
        return (broken("the server showed no certificate"), None);
    };
    let version = stream.get_ref().1.protocol_version();
    let version =
        version.and_then(|version| version.as_str()).unwrap_or("an unknown version").replace('_', ".");
    let now = SystemTime::now();
    let facts = Described::from_der(&seen.certificate).map(|certificate| certificate.facts(now));
    let (finding, stream) = match seen.verdict {
        Ok(()) => {
            (Finding::ok(Step::Tls, format!("{version}, and the certificate is trusted")), Some(stream))
        }
        Err(error) => (untrusted(&error, endpoint), None),
    };
    let finding = finding.facts(facts.into_iter().flatten()).fact("trusts", from);
    (finding.fact("time", shown::milliseconds(elapsed)), stream)
}

pub(crate) fn no_authorities(faults: Vec<String>, surroundings: &Surroundings) -> Finding {
    let (_, from) = roots::load(surroundings);
    Finding::failed(Step::Tls, "no certificate authority to trust").fact("trusts", from).notes(faults).advise(
        "without authorities no server can be trusted",
        "install the platform's (package `ca-certificates`), or set SSL_CERT_FILE to a readable PEM file",
    )
}

type Handshake<S> = (Arc<Remembering>, tokio_rustls::Connect<S>);

fn handshake<S: Stream>(
    below: S,
    endpoint: &Endpoint,
    roots: RootCertStore,
) -> Result<Handshake<S>, BoxError> {
    let provider = Arc::new(default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
    let verifier = Arc::new(Remembering::new(verifier));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
        .with_no_client_auth();
    let name = ServerName::try_from(endpoint.host.clone())?;
    Ok((verifier, TlsConnector::from(Arc::new(config)).connect(name, below)))
}

fn no_name(error: &(dyn std::error::Error + 'static), endpoint: &Endpoint) -> Finding {
    Finding::failed(Step::Tls, format!("no TLS: {}", shown::chain(error))).advise(
        "the endpoint's host is no name that a certificate can be for",
        format!("compare the host in `{}` with the IDaaS console", endpoint.key),
    )
}

fn broken(reason: &str) -> Finding {
    Finding::failed(Step::Tls, format!("no TLS: {reason}")).advise(
        "something speaks on that port, but not TLS as it is spoken today; often the port is another service's, or \
         a firewall cuts the handshake",
        "check the port in the endpoint; TLS 1.2 or 1.3 is needed",
    )
}

fn untrusted(error: &Error, endpoint: &Endpoint) -> Finding {
    use CertificateError as Fault;
    let (summary, meaning, remedy) = match error {
        Error::InvalidCertificate(Fault::UnknownIssuer) => (
            "no authority that is trusted here has signed the server's certificate",
            "a TLS proxy of your network answers in the endpoint's place, the endpoint has a private authority, or \
             this machine's authorities are out of date",
            "set SSL_CERT_FILE to a PEM file with that authority's certificate; if you expect none, find out who \
             answers there before you trust it"
                .to_owned(),
        ),
        Error::InvalidCertificate(Fault::NotValidForName | Fault::NotValidForNameContext { .. }) => (
            "the server's certificate is for another name",
            "the endpoint's host is misspelt, or its name leads to another server",
            format!("compare the host in `{}` with the IDaaS console", endpoint.key),
        ),
        Error::InvalidCertificate(
            Fault::Expired
            | Fault::ExpiredContext { .. }
            | Fault::NotValidYet
            | Fault::NotValidYetContext { .. },
        ) => (
            "the server's certificate is out of its time",
            "the certificate has expired, or this machine's clock is wrong",
            format!("check the clock first: it says {}", shown::time(SystemTime::now())),
        ),
        _ => ("the server's certificate is not trusted", "it cannot be verified", "show it to the operator of the endpoint".to_owned()),
    };
    Finding::failed(Step::Tls, summary).notes([shown::chain(error)]).advise(meaning, remedy)
}
