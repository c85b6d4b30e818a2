//! PCA: the client's certificate, its chain, and the key that belongs to it.

use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::super::config_file::ConfigFile;
use super::super::display;
use super::super::finding::{Finding, Step};
use super::super::surroundings::Surroundings;
use super::certificate::Described;
use super::private_key;
use crate::input;

const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

pub(crate) fn examine(config: &ConfigFile, faults: Vec<String>, surroundings: &Surroundings) -> Finding {
    if !faults.is_empty() {
        return private_key::unusable(faults);
    }
    let now = SystemTime::now();
    let certificates = |key, path_key| certificates(config, key, path_key, surroundings);
    let own = certificates("clientX509Certificate", "clientX509CertificatePath");
    let Some(leaf) = own.first() else {
        return Finding::ok(Step::Credential, "a certificate in a form that only the crate can read");
    };
    let chain = certificates("x509CertChains", "x509CertChainsPath");
    let finding = judge(leaf, &chain, now).facts(private_key::describe(config, surroundings));
    finding.facts(leaf.facts(now)).fact("intermediates", chain.len())
}

fn judge(leaf: &Described, chain: &[Described], now: SystemTime) -> Finding {
    for (what, certificate) in
        std::iter::once(("the certificate", leaf)).chain(chain.iter().map(|one| ("an intermediate", one)))
    {
        if certificate.not_after < now {
            let when = display::time(certificate.not_after);
            return Finding::failed(Step::Credential, format!("{what} expired at {when}")).advise(
                "IDaaS refuses an expired client certificate; or this machine's clock is ahead: see `clock`",
                "have the authority issue a new certificate, and put it, its intermediates and its key where the \
                 configuration says",
            );
        }
        if certificate.not_before > now {
            let when = display::time(certificate.not_before);
            return Finding::failed(Step::Credential, format!("{what} is not valid before {when}")).advise(
                "the certificate is not valid yet, or this machine's clock is behind",
                "check the clock",
            );
        }
    }
    let finding = Finding::ok(Step::Credential, "a certificate, and the key that belongs to it");
    match leaf.not_after.duration_since(now).is_ok_and(|left| left < SOON) {
        true => finding.warn("it expires soon; replace it in time"),
        false => finding,
    }
}

/// All that can be read, in the file or in the configuration; line breaks may be written as `\n`.
fn certificates(
    config: &ConfigFile,
    key: &str,
    path_key: &str,
    surroundings: &Surroundings,
) -> Vec<Described> {
    let text = match config.get(path_key) {
        Some(path) => input::text(&surroundings.expand(path.as_ref())).unwrap_or_default(),
        None => config.get(key).unwrap_or_default().to_owned(),
    };
    let text = text.replace("\\n", "\n");
    let read = CertificateDer::pem_slice_iter(text.as_bytes());
    read.filter_map(|der| Described::from_der(&der.ok()?)).collect()
}
