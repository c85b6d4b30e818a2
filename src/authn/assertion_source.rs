//! The sources of assertions for OIDC and PKCS7.

use std::fmt;
use std::fmt::Debug;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::authn::{CheckContext, TokenRequest};
use crate::error::{BoxFuture, ConfigFault, Error};
use crate::secret::Secret;

/// A source of the text that authenticates the client by a federated credential: an OIDC token, or a machine's attested
/// document.
///
/// Give one of your own to [`Oidc::from_source`](crate::authn::Oidc::from_source) or
/// [`Pkcs7::from_source`](crate::authn::Pkcs7::from_source). It is called at every token request, so that a rotated
/// token is noticed; a source with a slow origin may cache the text, and then checks [`TokenRequest::was_refused`]
/// before it returns the same text again. [`assertion_source_fn`] makes one from a function.
///
/// It must not block the thread: a worker of the runtime waits meanwhile. A synchronous client belongs in
/// `tokio::task::spawn_blocking`.
///
/// ```
/// use tower_idaas::authn::{AssertionSource, TokenRequest};
/// use tower_idaas::{BoxFuture, Error, Secret};
///
/// /// The identity token of the build that this program is a part of.
/// #[derive(Debug)]
/// struct BuildIdentity;
///
/// # async fn request_from_the_build_server(audience: &str) -> String { format!("token-for-{audience}") }
/// impl AssertionSource for BuildIdentity {
///     fn assertion<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Secret, Error>> {
///         Box::pin(async move { Ok(Secret::new(request_from_the_build_server(request.instance_id()).await)) })
///     }
/// }
/// ```
pub trait AssertionSource: Debug + Send + Sync + 'static {
    /// The assertion for this request. White space around it, and within a document, is removed.
    ///
    /// # Errors
    ///
    /// When the assertion cannot be obtained. The error fails the token request and is returned to its callers.
    fn assertion<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Secret, Error>>;

    /// The faults of the source's own options, found when the handle is built. None by default.
    fn check(&self, context: &CheckContext<'_>) -> Vec<ConfigFault> {
        let _ = context;
        Vec::new()
    }
}

macro_rules! delegate_source {
    ($($pointer:ident),*) => {$(
        impl<S: AssertionSource + ?Sized> AssertionSource for $pointer<S> {
            fn assertion<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Secret, Error>> {
                (**self).assertion(request)
            }

            fn check(&self, context: &CheckContext<'_>) -> Vec<ConfigFault> {
                (**self).check(context)
            }
        }
    )*};
}

delegate_source!(Arc, Box);

/// An [`AssertionSource`] from a function that takes the request and returns the assertion.
///
/// ```
/// use tower_idaas::Secret;
/// use tower_idaas::authn::{Oidc, TokenRequest, assertion_source_fn};
///
/// # async fn request_from_the_build_server(audience: &str) -> String { format!("token-for-{audience}") }
/// let source = assertion_source_fn(|request: TokenRequest| async move {
///     Ok(Secret::new(request_from_the_build_server(request.instance_id()).await))
/// });
/// let method = Oidc::from_source("build-server", source);
/// # drop(method);
/// ```
pub fn assertion_source_fn<F, Fut>(function: F) -> AssertionSourceFn<F>
where
    F: Fn(TokenRequest) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Secret, Error>> + Send + 'static,
{
    AssertionSourceFn(function)
}

/// The source that [`assertion_source_fn`] returns.
#[derive(Clone, Copy)]
pub struct AssertionSourceFn<F>(F);

impl<F, Fut> AssertionSource for AssertionSourceFn<F>
where
    F: Fn(TokenRequest) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Secret, Error>> + Send + 'static,
{
    fn assertion<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin((self.0)(request.clone()))
    }
}

impl<F> fmt::Debug for AssertionSourceFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionSourceFn").finish_non_exhaustive()
    }
}

/// An attested document without line breaks, which metadata services put into their base64. `None` if the text is no
/// such document.
pub(super) fn compact(document: &str) -> Option<Secret> {
    let mut compact = Zeroizing::new(String::with_capacity(document.len()));
    compact.extend(document.split_ascii_whitespace());
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    (!compact.is_empty() && compact.bytes().all(is_base64)).then(|| Secret::new(compact.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_removed_and_anything_but_base64_is_refused() {
        let compacted = |text| compact(text).map(|document: Secret| document.expose_secret().to_owned());
        assert_eq!(compacted("MIIB+/==").unwrap(), "MIIB+/==");
        assert_eq!(compacted(" MIIB\r\n+/\n==\n").unwrap(), "MIIB+/==");
        for text in ["", " \n", "<html>", "-----BEGIN PKCS7-----\nMIIB\n-----END PKCS7-----", "MIIB\u{e9}"] {
            assert_eq!(compacted(text), None, "{text}");
        }
    }
}
