//! PCA: a JWT signed with the key of an X.509 certificate that a private authority issued.

use std::sync::Arc;
use std::time::SystemTime;

use crate::authn::assertion_key::{AssertionKey, Signing};
use crate::authn::certificate::{Certificate, Date};
use crate::authn::client_assertion::assertion;
use crate::authn::kept::Kept;
use crate::authn::{Authenticator, TokenRequest};
use crate::environment::Environment;
use crate::error::BoxFuture;
use crate::error::{Error, ErrorKind};
use crate::secret::{Secret, SecretSource};

const X509_JWT_BEARER: &str = "urn:cloud:idaas:params:oauth:client-assertion-type:x509-jwt-bearer";

/// A JWT signed with the key of the certificate that goes with it.
#[derive(Clone, Debug)]
pub(crate) struct Pca {
    pub(crate) credential_name: String,
    pub(crate) certificates: CertificateSource,
    pub(crate) key: AssertionKey,
}

/// Where the client's certificates are.
#[derive(Clone, Debug)]
pub(crate) enum CertificateSource {
    /// In the configuration file.
    Fixed(Arc<Certificates>),
    /// Read at each attempt, as the key is, and parsed when they change.
    Read { source: SecretSource, parsed: Arc<Kept<Certificates>> },
}

/// The client's certificates, as they are sent.
#[derive(Debug)]
pub(crate) struct Certificates {
    leaf: String,
    chain: String,
    public_key: Vec<u8>,
    not_before: Date,
    not_after: Date,
}

impl From<SecretSource> for CertificateSource {
    fn from(source: SecretSource) -> Self {
        Self::Read { source, parsed: Arc::new(Kept::new()) }
    }
}

impl CertificateSource {
    fn name(&self) -> String {
        match self {
            Self::Fixed(_) => "`clientX509Certificate`".to_owned(),
            Self::Read { source, .. } => source.name(),
        }
    }

    /// Reads the certificates and finds their faults.
    pub(crate) fn check(&self, environment: &Environment) -> Result<Arc<Certificates>, Error> {
        self.resolve(|source| source.read(environment))
    }

    fn resolve(
        &self,
        read: impl FnOnce(&SecretSource) -> Result<Secret, Error>,
    ) -> Result<Arc<Certificates>, Error> {
        match self {
            Self::Fixed(certificates) => Ok(Arc::clone(certificates)),
            Self::Read { source, parsed } => {
                let text = read(source)?;
                let text = text.expose_secret();
                let unusable =
                    |problem| Error::new(ErrorKind::Credential, format!("{} {problem}", source.name()));
                parsed.get(&[text], || Certificates::new(Certificate::all(text)?)).map_err(unusable)
            }
        }
    }
}

impl Certificates {
    /// The client's own first; others behind it are its chain.
    pub(crate) fn new(certificates: Vec<Certificate>) -> Result<Self, String> {
        let mut certificates = certificates.into_iter();
        let own = certificates.next().ok_or("holds no certificate")?;
        let chain: Vec<String> = certificates.map(|certificate| certificate.to_pem()).collect();
        Ok(Self {
            leaf: own.to_pem(),
            chain: chain.join("\n"),
            public_key: own.public_key,
            not_before: own.not_before,
            not_after: own.not_after,
        })
    }
}

impl Pca {
    /// Whether key and certificate belong together. There is no telling for a signer of the user's own.
    pub(crate) fn check_pair(&self, certificates: &Certificates, signing: &Signing) -> Result<(), Error> {
        if signing.public_key().is_none_or(|key| key == certificates.public_key) {
            return Ok(());
        }
        let (key, certificate) = (self.key.name(), self.certificates.name());
        let message = format!(
            "the private key in {key} does not match the certificate in {certificate}; replace one of them"
        );
        Err(Error::new(ErrorKind::Credential, message))
    }

    /// Warns if the certificate is not valid at this time. It is sent all the same: the clock here may be
    /// the wrong one.
    fn warn_of_dates(&self, certificates: &Certificates, now: SystemTime) {
        let name = self.certificates.name();
        let Certificates { not_before, not_after, .. } = certificates;
        if now > not_after.time {
            tracing::warn!("the client certificate in {name} expired on {}; replace it", not_after.day);
        } else if now < not_before.time {
            let day = &not_before.day;
            tracing::warn!("the client certificate in {name} is not valid before {day}; check the clock");
        }
    }

    /// Warns, at load, of a certificate that is out of date.
    pub(crate) fn warn_at_load(&self, environment: &Environment, now: SystemTime) {
        // Its faults are found before.
        if let Ok(certificates) = self.certificates.check(environment) {
            self.warn_of_dates(&certificates, now);
        }
    }
}

impl Authenticator for Pca {
    fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let certificates = self.certificates.resolve(|source| request.read_secret(source))?;
            let signing = self.key.read(request)?;
            self.check_pair(&certificates, &signing)?;
            self.warn_of_dates(&certificates, request.now_for_warnings());
            let assertion = assertion(request, &signing).await?;
            request.add_field("application_federated_credential_name", self.credential_name.clone());
            request.add_field("client_assertion_type", X509_JWT_BEARER.to_owned());
            request.add_field("client_assertion", assertion);
            request.add_field("client_x509", certificates.leaf.clone());
            // A leaf that the root itself signed has no chain.
            if !certificates.chain.is_empty() {
                request.add_field("client_x509_chain", certificates.chain.clone());
            }
            Ok(())
        })
    }
}
