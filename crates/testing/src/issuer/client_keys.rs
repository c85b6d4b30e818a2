//! What clients may sign assertions with: key pairs, and certificates of an authority for clients.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};

use tower_idaas::Secret;
use tower_idaas::clock::Timestamp;

/// The clients' keys, as the token endpoint knows them.
pub(crate) struct ClientKeys {
    private_key: KeyPair,
    authority: ClientAuthority,
    registered: Mutex<Vec<SubjectPublicKeyInfoDer<'static>>>,
    /// The ids of assertions that were accepted, with the end of their life in Unix seconds.
    spent: Mutex<HashMap<String, u64>>,
}

impl ClientKeys {
    /// Registers these public keys, in PEM; a generated one if there are none.
    pub(crate) fn generate(public_keys: &[String]) -> io::Result<Self> {
        let private_key = KeyPair::generate().map_err(io::Error::other)?;
        let own = [private_key.public_key_pem()];
        let registered = if public_keys.is_empty() { &own[..] } else { public_keys };
        let registered = registered.iter().map(|pem| public_key(pem)).collect::<io::Result<_>>()?;
        Ok(Self {
            authority: ClientAuthority::generate()?,
            registered: Mutex::new(registered),
            spent: Mutex::default(),
            private_key,
        })
    }

    /// The generated private key.
    pub(crate) fn private_key_pem(&self) -> Secret {
        Secret::new(self.private_key.serialize_pem())
    }

    /// The certificate of the generated private key, and the intermediate one.
    pub(crate) fn certificates(&self) -> io::Result<(String, String)> {
        self.authority.certify(&self.private_key)
    }

    /// The same for another key.
    pub(crate) fn certify(&self, private_key_pem: &str) -> io::Result<(String, String)> {
        let malformed = |fault| {
            let text = format!("expected a private key in PEM form (`-----BEGIN PRIVATE KEY-----`): {fault}");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        };
        self.authority.certify(&KeyPair::from_pem(private_key_pem).map_err(malformed)?)
    }

    /// Replaces what is registered.
    pub(crate) fn set(&self, public_key_pem: &str) -> io::Result<()> {
        *lock(&self.registered) = vec![public_key(public_key_pem)?];
        Ok(())
    }

    pub(crate) fn registered(&self) -> Vec<SubjectPublicKeyInfoDer<'static>> {
        lock(&self.registered).clone()
    }

    /// Whose key the first certificate is for, if the authority vouches for it.
    pub(crate) fn certified(
        &self,
        leaf: &str,
        chain: &str,
        now: Timestamp,
    ) -> Result<SubjectPublicKeyInfoDer<'static>, String> {
        self.authority.verify(leaf, chain, now)
    }

    /// Notes the id of an assertion; false if it came before. An id is forgotten when its assertion has
    /// expired anyway.
    pub(crate) fn spend(&self, id: &str, expires: u64, now: Timestamp) -> bool {
        let mut spent = lock(&self.spent);
        spent.retain(|_, expires| *expires >= now.unix_seconds());
        spent.insert(id.to_owned(), expires).is_none()
    }
}

/// Root and intermediate of the certificates that clients show.
struct ClientAuthority {
    root: CertificateDer<'static>,
    intermediate: CertifiedIssuer<'static, KeyPair>,
}

impl ClientAuthority {
    fn generate() -> io::Result<Self> {
        let parameters = |what: &str, below: u8| {
            let mut parameters = CertificateParams::default();
            let name = format!("tower-idaas test {what} {:016x}", fastrand::u64(..));
            parameters.distinguished_name.push(DnType::CommonName, name);
            parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
            parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            parameters
        };
        let key = || KeyPair::generate().map_err(io::Error::other);
        let root = parameters("root for clients", 1);
        let root = CertifiedIssuer::self_signed(root, key()?).map_err(io::Error::other)?;
        let intermediate = parameters("intermediate for clients", 0);
        let intermediate =
            CertifiedIssuer::signed_by(intermediate, key()?, &root).map_err(io::Error::other)?;
        Ok(Self { root: root.der().clone(), intermediate })
    }

    /// A certificate for the key, and the intermediate one.
    fn certify(&self, key: &impl PublicKeyData) -> io::Result<(String, String)> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "tower-idaas test client");
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        parameters.use_authority_key_identifier_extension = true;
        let leaf = parameters.signed_by(key, &self.intermediate).map_err(io::Error::other)?;
        Ok((leaf.pem(), self.intermediate.pem()))
    }

    fn verify(
        &self,
        leaf: &str,
        chain: &str,
        now: Timestamp,
    ) -> Result<SubjectPublicKeyInfoDer<'static>, String> {
        let leaf = certificates(leaf)?;
        let [leaf] = leaf.as_slice() else { return Err("expected one client certificate".to_owned()) };
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).map_err(|fault| fault.to_string())?;
        let provider = crate::certificates::provider().map_err(|fault| fault.to_string())?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now.unix_seconds()));
        verifier
            .map_err(|fault| fault.to_string())?
            .verify_client_cert(leaf, &certificates(chain)?, now)
            .map_err(|fault| format!("the client certificate is not trusted: {fault}"))?;
        let leaf = ParsedCertificate::try_from(leaf).map_err(|fault| fault.to_string())?;
        Ok(leaf.subject_public_key_info())
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>();
    certificates.map_err(|_| "a certificate is not PEM".to_owned())
}

fn public_key(pem: &str) -> io::Result<SubjectPublicKeyInfoDer<'static>> {
    SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).map_err(|fault| {
        let text = format!("expected a public key in PEM form (`-----BEGIN PUBLIC KEY-----`): {fault}");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_idaas::clock::ManualClock;

    #[test]
    fn what_is_no_key_is_refused() {
        let kind = |result: io::Result<()>| result.unwrap_err().kind();
        let keys = ClientKeys::generate(&[]).unwrap();
        assert_eq!(kind(ClientKeys::generate(&["x".into()]).map(drop)), io::ErrorKind::InvalidInput);
        assert_eq!(kind(keys.set("x")), io::ErrorKind::InvalidInput);
        assert_eq!(kind(keys.certify("x").map(drop)), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_certificate_leads_to_its_key_only_through_the_authority_that_issued_it() {
        let (keys, other) = (ClientKeys::generate(&[]).unwrap(), ClientKeys::generate(&[]).unwrap());
        let now = ManualClock::new().now();
        let (leaf, chain) = keys.certificates().unwrap();
        assert_eq!(keys.certified(&leaf, &chain, now).unwrap(), keys.registered()[0]);
        for (leaf, chain) in [(&*leaf, ""), (&chain, &leaf), ("", &chain), (&format!("{leaf}{chain}"), "")] {
            keys.certified(leaf, chain, now).unwrap_err();
        }
        other.certified(&leaf, &chain, now).unwrap_err();
    }

    #[test]
    fn an_id_is_remembered_as_long_as_its_assertion_lives() {
        let keys = ClientKeys::generate(&[]).unwrap();
        let clock = ManualClock::new();
        let expires = clock.now().unix_seconds() + 60;
        assert!(keys.spend("1", expires, clock.now()));
        assert!(!keys.spend("1", expires, clock.now()));
        clock.advance(Duration::from_secs(61));
        assert!(keys.spend("2", expires + 60, clock.now()));
        assert_eq!(lock(&keys.spent).len(), 1);
    }
}
