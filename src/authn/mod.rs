//! How a client proves who it is at the token endpoint: one file per method, and the traits for methods, keys
//! and documents of your own.

mod algorithm;
mod assertion_key;
mod assertion_source;
mod certificate;
mod client_assertion;
mod client_secret;
mod cloud;
mod der;
mod id_token;
mod kept;
#[cfg(feature = "transport")]
mod metadata_document;
mod oidc;
mod oidc_token_file;
mod pca;
mod pem;
mod pkcs7;
mod private_key;
mod request;
mod signing_key;
#[cfg(test)]
mod tests;

use std::fmt::Debug;

pub use self::algorithm::SigningAlgorithm;
pub use self::assertion_key::{AssertionKey, AssertionSigner};
pub use self::assertion_source::AssertionSource;
pub(crate) use self::certificate::Certificate;
pub(crate) use self::client_assertion::{ClientSecretJwt, PrivateKeyJwt};
pub(crate) use self::client_secret::{ClientSecretBasic, ClientSecretPost};
pub(crate) use self::cloud::Cloud;
#[cfg(feature = "transport")]
pub(crate) use self::metadata_document::MetadataDocument;
pub(crate) use self::oidc::Oidc;
pub(crate) use self::pca::{CertificateSource, Certificates, Pca};
pub(crate) use self::pkcs7::Pkcs7;
pub(crate) use self::request::Client;
pub use self::request::TokenRequest;
use crate::error::BoxFuture;
use crate::error::Error;

/// How a client proves who it is at the token endpoint (RFC 6749 section 2.3).
///
/// It fills in a [`TokenRequest`] and does no HTTP of the token endpoint itself. It is called anew for each
/// attempt, so that an assertion is never sent twice. Give one of your own to
/// [`IdaasBuilder::authenticator`](crate::IdaasBuilder::authenticator).
///
/// ```
/// use tower_idaas::authn::{Authenticator, TokenRequest};
/// use tower_idaas::{BoxFuture, Error, SecretSource};
///
/// /// A method that sends a key in a form field of its own.
/// #[derive(Debug)]
/// struct ApiKey(SecretSource);
///
/// impl Authenticator for ApiKey {
///     fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
///         Box::pin(async move {
///             let key = request.read_secret(&self.0)?;
///             request.add_field("api_key", key);
///             Ok(())
///         })
///     }
/// }
/// ```
pub trait Authenticator: Debug + Send + Sync + 'static {
    /// Adds the method's form fields or header to the request.
    ///
    /// # Errors
    ///
    /// Whatever keeps the method from its credentials: a variable that is not set, a file that is gone.
    fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>>;
}
