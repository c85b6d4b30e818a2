//! The TLS handshake: which version, whose certificate, and whether it is trusted here.

use std::error::Error as StdError;
use std::io;
use std::time::SystemTime;

use rustls::pki_types::InvalidDnsNameError;
use rustls::{CertificateError, Error};
use tower_idaas::BoxError;
use tower_idaas::explanation::{Probe, ProbeStep};

use super::super::config_file::Endpoint;
use super::super::display;
use super::super::finding::{Finding, Step};
use super::certificate::Described;

pub(crate) fn examine(endpoint: &Endpoint, probe: &Probe, step: &ProbeStep<String>) -> Finding {
    let finding = match &step.outcome {
        Ok(version) => Finding::ok(Step::Tls, format!("{version}, and the certificate is trusted")),
        Err(error) => failed(error, endpoint),
    };
    let certificate = probe.certificate.as_deref().and_then(Described::from_der);
    let facts = certificate.map(|certificate| certificate.facts(SystemTime::now()));
    let authorities = probe.authorities.iter().map(|from| ("trusts", from.clone()));
    let finding = finding.facts(facts.into_iter().flatten()).facts(authorities);
    finding.fact("time", display::milliseconds(step.took))
}

pub(crate) fn no_authorities(faults: Vec<String>) -> Finding {
    Finding::failed(Step::Tls, "no certificate authority to trust").notes(faults).advise(
        "without authorities no server can be trusted",
        "install the platform's (package `ca-certificates`), or set SSL_CERT_FILE to a readable PEM file",
    )
}

fn failed(error: &BoxError, endpoint: &Endpoint) -> Finding {
    match of_rustls(&**error) {
        Some(error @ Error::InvalidCertificate(_)) => untrusted(error, endpoint),
        None if error.is::<InvalidDnsNameError>() => no_name(&**error, endpoint),
        _ => broken(&display::chain(&**error)),
    }
}

/// The error of rustls in the chain, which it hands on within one of I/O.
fn of_rustls<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e Error> {
    let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error
        .downcast_ref()
        .or_else(|| within.and_then(|within| within.downcast_ref()))
        .or_else(|| error.source().and_then(of_rustls))
}

fn no_name(error: &(dyn StdError + 'static), endpoint: &Endpoint) -> Finding {
    Finding::failed(Step::Tls, format!("no TLS connection: {}", display::chain(error))).advise(
        "the endpoint's host is not a name that a certificate can have",
        format!("compare the host in `{}` with the IDaaS console", endpoint.key),
    )
}

fn broken(reason: &str) -> Finding {
    Finding::failed(Step::Tls, format!("no TLS connection: {reason}")).advise(
        "the server on that port does not speak TLS 1.2 or 1.3: often the port is another service's, or a firewall \
         interrupts the handshake",
        "check the port in the endpoint; TLS 1.2 or 1.3 is needed",
    )
}

fn untrusted(error: &Error, endpoint: &Endpoint) -> Finding {
    use CertificateError as Fault;
    let (summary, meaning, remedy) = match error {
        Error::InvalidCertificate(Fault::UnknownIssuer) => (
            "no authority that is trusted here has signed the server's certificate",
            "a TLS proxy of your network takes the endpoint's place, the endpoint has a private authority, or \
             this machine's authorities are out of date",
            "set SSL_CERT_FILE to a PEM file with that authority's certificate; if you expect none, find out which \
             server that is before you trust it"
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
            "the server's certificate has expired or is not valid yet",
            "the certificate has expired, or this machine's clock is wrong",
            format!("check the clock first: it says {}", display::time(SystemTime::now())),
        ),
        _ => ("the server's certificate is not trusted", "it cannot be verified", "show it to the operator of the endpoint".to_owned()),
    };
    Finding::failed(Step::Tls, summary).notes([display::chain(error)]).advise(meaning, remedy)
}
