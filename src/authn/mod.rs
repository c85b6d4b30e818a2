//! Client authentication at the token endpoint: one type per method, and the traits for methods, keys and documents of
//! your own.
//!
//! A method is a value. It is passed to [`IdaasBuilder::authenticator`](crate::IdaasBuilder::authenticator) with its
//! options, and checked when the handle is built; the configuration file produces the same values.
//!
//! | value | key `authnMethod` |
//! |---|---|
//! | [`ClientSecretBasic`] | `CLIENT_SECRET_BASIC` |
//! | [`ClientSecretPost`] | `CLIENT_SECRET_POST` |
//! | [`ClientSecretJwt`] | `CLIENT_SECRET_JWT` |
//! | [`PrivateKeyJwt`] | `PRIVATE_KEY_JWT` |
//! | [`Pkcs7`] | `PKCS7` |
//! | [`Oidc`] | `OIDC` |
//! | [`Pca`] | `PCA` |
//!
//! ```
//! use tower_idaas::authn::{PrivateKeyJwt, SigningAlgorithm};
//! use tower_idaas::{Idaas, SecretSource};
//!
//! let key = SecretSource::file("/etc/orders/private-key.pem");
//! let method = PrivateKeyJwt::new(key).algorithm(SigningAlgorithm::Rs384).key_id("2026-11");
//! let builder = Idaas::builder().config_from_env().authenticator(method);
//! # drop(builder);
//! ```

mod algorithm;
mod assertion_key;
mod assertion_source;
mod certificate;
mod check;
mod client_assertion;
mod client_secret;
mod der;
mod encrypted_key;
#[cfg(feature = "transport")]
mod identity_token;
#[cfg(feature = "transport")]
mod metadata_document;
mod oidc;
mod oidc_token_file;
mod parsed_source;
mod pca;
mod pkcs7;
mod private_key;
mod request;
mod signing_key;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fmt::Debug;
use std::sync::Arc;

pub use self::algorithm::SigningAlgorithm;
pub use self::assertion_key::{AssertionKey, AssertionSigner, AssertionSignerFn, assertion_signer_fn};
pub use self::assertion_source::{AssertionSource, AssertionSourceFn, assertion_source_fn};
pub use self::check::CheckContext;
pub(crate) use self::check::{BuiltIn, option};
pub use self::client_assertion::{ClientSecretJwt, PrivateKeyJwt};
pub use self::client_secret::{ClientSecretBasic, ClientSecretPost};
#[cfg(feature = "transport")]
#[cfg_attr(docsrs, doc(cfg(feature = "transport")))]
pub use self::identity_token::{AzureIdentity, GithubActionsIdentity, GoogleCloudIdentity};
#[cfg(feature = "transport")]
pub(crate) use self::metadata_document::Cloud;
pub use self::oidc::Oidc;
pub use self::pca::Pca;
pub use self::pkcs7::Pkcs7;
pub(crate) use self::request::Client;
pub use self::request::TokenRequest;
use crate::error::{BoxFuture, ConfigFault, Error};

/// A method of client authentication at the token endpoint (RFC 6749 section 2.3).
///
/// It fills in a [`TokenRequest`] and does not call the token endpoint itself. It is called for each attempt, so that
/// an assertion is never sent twice. Give one of your own to
/// [`IdaasBuilder::authenticator`](crate::IdaasBuilder::authenticator); [`authenticator_fn`] makes one from a function.
///
/// It must not block the thread: a worker of the runtime waits meanwhile. A synchronous client belongs in
/// `tokio::task::spawn_blocking`.
///
/// ```
/// use tower_idaas::authn::{Authenticator, CheckContext, TokenRequest};
/// use tower_idaas::{BoxFuture, ConfigFault, Error, SecretSource};
///
/// /// A method that sends a key in a form field of its own.
/// #[derive(Debug)]
/// struct ApiKey(SecretSource);
///
/// impl Authenticator for ApiKey {
///     fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
///         Box::pin(async move {
///             let key = request.read_secret(&self.0).await?;
///             request.add_field("api_key", key);
///             Ok(())
///         })
///     }
///
///     fn check(&self, context: &CheckContext<'_>) -> Vec<ConfigFault> {
///         match context.read_secret(&self.0) {
///             Ok(_) => Vec::new(),
///             Err(error) => vec![ConfigFault::new("api_key", format!("cannot be used: {error}"))],
///         }
///     }
/// }
/// ```
pub trait Authenticator: Debug + Send + Sync + 'static {
    /// Adds the method's form fields or header to the request.
    ///
    /// # Errors
    ///
    /// When the method cannot get its credentials: a variable that is not set, a file that does not exist.
    fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>>;

    /// The faults of the method's options and credentials, found when the handle is built. None by default.
    ///
    /// [`IdaasBuilder::build`](crate::IdaasBuilder::build) reports these faults together with all others, and sends
    /// nothing: a check reads variables and files, and calls no server.
    fn check(&self, context: &CheckContext<'_>) -> Vec<ConfigFault> {
        let _ = context;
        Vec::new()
    }

    /// The vendor's name of a built-in method. Users' methods have none, so that a shared token store does not confuse
    /// them with another method.
    #[doc(hidden)]
    fn vendor_name(&self, _: BuiltIn) -> Option<&'static str> {
        None
    }
}

/// The vendor's name of the method, `None` for a user's own.
pub(crate) fn vendor_name(authenticator: &dyn Authenticator) -> Option<&'static str> {
    authenticator.vendor_name(BuiltIn::PROOF)
}

macro_rules! delegate_authenticator {
    ($($pointer:ident),*) => {$(
        impl<A: Authenticator + ?Sized> Authenticator for $pointer<A> {
            fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
                (**self).authenticate(request)
            }

            fn check(&self, context: &CheckContext<'_>) -> Vec<ConfigFault> {
                (**self).check(context)
            }

            fn vendor_name(&self, proof: BuiltIn) -> Option<&'static str> {
                (**self).vendor_name(proof)
            }
        }
    )*};
}

delegate_authenticator!(Arc, Box);

/// An [`Authenticator`] from a function that takes the request and returns it filled in.
///
/// ```
/// use tower_idaas::SecretSource;
/// use tower_idaas::authn::{TokenRequest, authenticator_fn};
///
/// let method = authenticator_fn(|mut request: TokenRequest| async move {
///     let key = request.read_secret(&SecretSource::variable("API_KEY")).await?;
///     request.add_field("api_key", key);
///     Ok(request)
/// });
/// # drop(method);
/// ```
pub fn authenticator_fn<F, Fut>(function: F) -> AuthenticatorFn<F>
where
    F: Fn(TokenRequest) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<TokenRequest, Error>> + Send + 'static,
{
    AuthenticatorFn(function)
}

/// The method that [`authenticator_fn`] returns.
#[derive(Clone, Copy)]
pub struct AuthenticatorFn<F>(F);

impl<F, Fut> Authenticator for AuthenticatorFn<F>
where
    F: Fn(TokenRequest) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<TokenRequest, Error>> + Send + 'static,
{
    fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            *request = (self.0)(request.clone()).await?;
            Ok(())
        })
    }
}

impl<F> fmt::Debug for AuthenticatorFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticatorFn").finish_non_exhaustive()
    }
}
