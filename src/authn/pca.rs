//! PCA: a JWT signed with the key of an X.509 certificate that a private authority issued.

use std::time::SystemTime;

use crate::authn::assertion_key::{AssertionKey, Signing};
use crate::authn::certificate::{Certificate, Date};
use crate::authn::check::unusable;
use crate::authn::client_assertion::assertion;
use crate::authn::parsed_source::ParsedSource;
use crate::authn::{Authenticator, BuiltIn, CheckContext, SigningAlgorithm, TokenRequest, check, option};
use crate::error::{BoxFuture, ConfigFault, Error, ErrorKind};
use crate::secret::{Content, SecretSource};

const X509_JWT_BEARER: &str = "urn:cloud:idaas:params:oauth:client-assertion-type:x509-jwt-bearer";

/// PCA: an assertion signed with the key of an X.509 certificate, sent with the certificate and its chain.
///
/// Key and certificates are read at each attempt, so that renewed ones need no restart. Renew both together: while they
/// do not match, no token is requested.
///
/// ```
/// use tower_idaas::SecretSource;
/// use tower_idaas::authn::Pca;
///
/// let certificates = SecretSource::file("/etc/orders/fullchain.pem");
/// let method = Pca::new("orders-pca", certificates, SecretSource::file("/etc/orders/private-key.pem"));
/// # drop(method);
/// ```
#[derive(Clone, Debug)]
pub struct Pca {
    credential_name: String,
    certificates: ParsedSource<Vec<Certificate>>,
    chain: Option<ParsedSource<Vec<Certificate>>>,
    key: AssertionKey,
}

/// The client's certificates, as sent.
#[derive(Debug)]
pub(crate) struct Certificates {
    leaf: String,
    chain: String,
    public_key: Vec<u8>,
    not_before: Date,
    not_after: Date,
}

impl Certificates {
    /// The first is the client's own; the others are its chain.
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
    /// `credential_name` is the name of the application's federated credential. `certificates` is the source of
    /// certificates in PEM form, the client's own first and the intermediate ones behind it, as in a `fullchain.pem`.
    /// `key` is a [`SecretSource`] of the private key, or an [`AssertionSigner`](crate::authn::AssertionSigner).
    pub fn new(
        credential_name: impl Into<String>,
        certificates: SecretSource,
        key: impl Into<AssertionKey>,
    ) -> Self {
        Self {
            credential_name: credential_name.into(),
            certificates: ParsedSource::new(certificates, Content::Certificates),
            chain: None,
            key: key.into(),
        }
    }

    /// Further intermediate certificates, in PEM form, kept apart from the client's own.
    #[must_use]
    pub fn certificate_chain(mut self, chain: SecretSource) -> Self {
        self.chain = Some(ParsedSource::new(chain, Content::Certificates));
        self
    }

    /// Signs with this algorithm, as [`PrivateKeyJwt::algorithm`](crate::authn::PrivateKeyJwt::algorithm) does.
    #[must_use]
    pub fn algorithm(mut self, algorithm: SigningAlgorithm) -> Self {
        self.key = self.key.with_algorithm(algorithm);
        self
    }

    /// Names the key in the assertion's header, as [`PrivateKeyJwt::key_id`](crate::authn::PrivateKeyJwt::key_id) does.
    #[must_use]
    pub fn key_id(mut self, id: impl Into<String>) -> Self {
        self.key = self.key.with_key_id(id);
        self
    }

    /// Reads the certificates.
    async fn read(&self, request: &mut TokenRequest) -> Result<Certificates, Error> {
        let own = self.certificates.read(request, None, Certificate::all).await?;
        let chain = match &self.chain {
            Some(chain) => Some(chain.read(request, None, Certificate::all).await?),
            None => None,
        };
        self.join(&own, chain.as_deref())
    }

    fn join(&self, own: &[Certificate], chain: Option<&Vec<Certificate>>) -> Result<Certificates, Error> {
        let all = own.iter().chain(chain.into_iter().flatten()).cloned().collect();
        let unfit =
            |problem| Error::new(ErrorKind::Credential, format!("{} {problem}", self.certificates.name()));
        Certificates::new(all).map_err(unfit)
    }

    /// Checks that key and certificate belong together. For a user's own signer the check is impossible.
    fn check_pair(&self, certificates: &Certificates, signing: &Signing) -> Result<(), Error> {
        if signing.public_key().is_none_or(|key| key == certificates.public_key) {
            return Ok(());
        }
        let (key, certificate) = (self.key.name(), self.certificates.name());
        let message = format!(
            "the private key in {key} does not match the certificate in {certificate}; put the client's own \
             certificate there, before any other, or replace the key"
        );
        Err(Error::new(ErrorKind::Credential, message))
    }

    /// Warns if the certificate is not valid at this time. It is sent all the same, because this machine's clock may be
    /// wrong.
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
}

impl Authenticator for Pca {
    fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let certificates = self.read(request).await?;
            let signing = self.key.read(request).await?;
            // Certificate and key are two files, replaced one after the other.
            self.check_pair(&certificates, &signing).map_err(|error| error.with_transient(true))?;
            self.warn_of_dates(&certificates, request.issued_at());
            let assertion = assertion(request, &signing).await?;
            request.add_field("application_federated_credential_name", self.credential_name.clone());
            request.add_field("client_assertion_type", X509_JWT_BEARER.to_owned());
            request.add_field("client_assertion", assertion);
            request.add_field("client_x509", certificates.leaf.clone());
            // A certificate that the root itself signed has no chain.
            if !certificates.chain.is_empty() {
                request.add_field("client_x509_chain", certificates.chain.clone());
            }
            Ok(())
        })
    }

    fn check(&self, context: &CheckContext<'_>) -> Vec<ConfigFault> {
        let mut faults: Vec<_> = check::credential_name(&self.credential_name).into_iter().collect();
        let signing = self.key.check(context);
        let own = self.certificates.read_blocking(context, None, Certificate::all);
        let chain = self.chain.as_ref().map(|chain| chain.read_blocking(context, None, Certificate::all));
        let chain = chain.transpose().map(Option::flatten);
        if let (Ok(Some(signing)), Ok(Some(own)), Ok(chain)) = (&signing, &own, &chain) {
            let certificates = self.join(own, chain.as_deref());
            match certificates.and_then(|all| self.check_pair(&all, signing).map(|()| all)) {
                Ok(certificates) => self.warn_of_dates(&certificates, context.now()),
                Err(error) => faults.push(unusable(option::CERTIFICATES, error)),
            }
        }
        faults.extend(signing.err().into_iter().flatten());
        faults.extend(own.err().map(|error| unusable(option::CERTIFICATES, error)));
        faults.extend(chain.err().map(|error| unusable(option::CERTIFICATE_CHAIN, error)));
        faults
    }

    fn vendor_name(&self, _: BuiltIn) -> Option<&'static str> {
        Some("PCA")
    }
}
