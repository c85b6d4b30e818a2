//! Where the assertion of OIDC and PKCS7 comes from.

use std::fmt::Debug;

use crate::authn::TokenRequest;
use crate::error::BoxFuture;
use crate::error::Error;
use crate::secret::Secret;

/// A supplier of the text that proves who the client is to a federated credential: an OIDC token, or the
/// attested document of a machine.
///
/// Give one of your own to [`IdaasBuilder::oidc_source`](crate::IdaasBuilder::oidc_source) or
/// [`IdaasBuilder::pkcs7_source`](crate::IdaasBuilder::pkcs7_source). It is asked at every token request, so
/// that what is rotated is noticed; a source that has to go far may keep what it got, and should then ask
/// [`TokenRequest::was_refused`] before giving it again.
///
/// ```
/// use tower_idaas::authn::{AssertionSource, TokenRequest};
/// use tower_idaas::{BoxFuture, Error, Secret};
///
/// /// The identity token of the build that this program is a part of.
/// #[derive(Debug)]
/// struct BuildIdentity;
///
/// # async fn ask_the_build_server(audience: &str) -> String { format!("token-for-{audience}") }
/// impl AssertionSource for BuildIdentity {
///     fn assertion<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Secret, Error>> {
///         Box::pin(async move { Ok(Secret::new(ask_the_build_server(request.instance_id()).await)) })
///     }
/// }
/// ```
pub trait AssertionSource: Debug + Send + Sync + 'static {
    /// The assertion for this request. White space around it, and within a document, is removed.
    ///
    /// # Errors
    ///
    /// Whatever keeps the assertion from coming. It fails the token request, and callers see it.
    fn assertion<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Secret, Error>>;
}
