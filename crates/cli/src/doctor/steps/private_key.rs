//! A private key: whether it can be used, and what it signs with.

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::super::config_file::ConfigFile;
use super::super::finding::{Finding, Step};
use super::super::surroundings::Surroundings;
use crate::input;

pub(crate) fn examine(config: &ConfigFile, faults: Vec<String>, surroundings: &Surroundings) -> Finding {
    if !faults.is_empty() {
        return unusable(faults);
    }
    let finding = Finding::ok(Step::Credential, "a private key that can be used");
    finding.facts(describe(config, surroundings)).notes([reminder().to_owned()])
}

pub(super) fn unusable(faults: Vec<String>) -> Finding {
    Finding::failed(Step::Credential, "key or certificate cannot be used").notes(faults).advise(
        "the client cannot sign, so it cannot authenticate",
        "put the whole PEM text, with its BEGIN and END lines, where the configuration says; RSA of 2048 bits at \
         least or EC on P-256, P-384 or P-521; an encrypted one needs `privateKeyPassphraseEnvVarName`",
    )
}

fn reminder() -> &'static str {
    "its public half has to be registered with the application in IDaaS; only the server can check that"
}

/// What kind of key it is. Nothing, when it came in a form that only the crate can read.
pub(super) fn describe(config: &ConfigFile, surroundings: &Surroundings) -> Option<(&'static str, String)> {
    let text = match config.get("privateKeyFilePath") {
        Some(path) => input::text(&surroundings.expand(path.as_ref())).ok()?,
        None => surroundings.variable(config.get("privateKeyEnvVarName")?)?.into_string().ok()?,
    };
    let text = text.replace("\\n", "\n");
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).ok()?;
    let public = any_supported_type(&key).ok()?.public_key()?.to_vec();
    let (_, public) = SubjectPublicKeyInfo::from_der(&public).ok()?;
    Some(("algorithm", kind(&public, config.get("signingAlgorithm"))?))
}

/// The key's kind, and what assertions are signed with by it: what the configuration says, or what suits the key.
fn kind(public: &SubjectPublicKeyInfo<'_>, chosen: Option<&str>) -> Option<String> {
    Some(match public.parsed().ok()? {
        PublicKey::RSA(key) => {
            let bits = key.key_size();
            let algorithm = match bits {
                ..=2048 => "RS256",
                2049..=3072 => "RS384",
                _ => "RS512",
            };
            format!("RSA of {bits} bits, {}", chosen.unwrap_or(algorithm))
        }
        PublicKey::EC(point) => {
            let (curve, algorithm) = match point.data().len() {
                65 => ("P-256", "ES256"),
                97 => ("P-384", "ES384"),
                133 => ("P-521", "ES512"),
                _ => return None,
            };
            format!("EC on {curve}, {}", chosen.unwrap_or(algorithm))
        }
        _ => return None,
    })
}
