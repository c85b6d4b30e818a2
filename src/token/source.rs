//! Where a token for a scope comes from.

use std::fmt::Debug;

use crate::error::BoxFuture;
use crate::error::Error;
use crate::scope::Scope;
use crate::token::Token;
use crate::token::response::TokenResponse;

/// Where a token for a scope comes from.
///
/// The stock source is the token endpoint with an [`Authenticator`](crate::authn::Authenticator). Give one of your
/// own to [`IdaasBuilder::token_source`](crate::IdaasBuilder::token_source), or register it by a name with
/// [`IdaasBuilder::plugin`](crate::IdaasBuilder::plugin): the cache, the single flight and the back-off are the
/// same. It is called once per token life and scope, and once per attempt after a
/// failure; it need not cache, retry or guard against concurrency.
///
/// ```
/// use std::time::Duration;
/// use tower_idaas::{BoxFuture, Error, Scope, TokenResponse, TokenSource};
///
/// #[derive(Debug)]
/// struct Sidecar;
///
/// impl TokenSource for Sidecar {
///     fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
///         Box::pin(async move {
///             let token = format!("token-for-{}", scope.audience());
///             Ok(TokenResponse::bearer(&token)?.with_expires_in(Duration::from_secs(300)))
///         })
///     }
/// }
/// ```
pub trait TokenSource: Debug + Send + Sync + 'static {
    /// Fetches one token, making one attempt.
    ///
    /// # Errors
    ///
    /// Whatever failed. Its [`is_transient`](Error::is_transient) and
    /// [`retry_after`](Error::retry_after) decide when the cache asks again.
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>>;

    /// Takes note that an API has rejected a token of this source, before the next
    /// [`fetch`](Self::fetch) for the scope. For sources that keep tokens themselves: that one must not come
    /// again. By default nothing happens.
    fn rejected(&self, scope: &Scope, token: &Token) {
        let _ = (scope, token);
    }
}
