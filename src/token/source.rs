//! Where a token comes from: the trait, a source made of a closure, and the context of a source that wraps another one.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::environment::Environment;
use crate::error::{BoxFuture, Error, ErrorKind};
use crate::scope::Scope;
use crate::token::response::TokenResponse;
use crate::token::subject::SubjectToken;
use crate::token::token::Token;

/// Where a token for a scope comes from.
///
/// The built-in source is the token endpoint with an [`Authenticator`](crate::authn::Authenticator). Pass your own to
/// [`IdaasBuilder::token_source`](crate::IdaasBuilder::token_source), register it by a name with
/// [`IdaasBuilder::plugin`](crate::IdaasBuilder::plugin), or put it in front of the configured one with
/// [`IdaasBuilder::wrap_source`](crate::IdaasBuilder::wrap_source). The cache, the single refresh in flight and the
/// back-off are the same for all sources: a source is called once per token life and scope, and once per attempt after
/// a failure. It need not cache, retry or guard against concurrency.
///
/// It must not block the thread: a worker of the runtime waits meanwhile. A synchronous client belongs in
/// `tokio::task::spawn_blocking`.
///
/// Where a closure is enough, [`token_source_fn`](crate::token::token_source_fn) makes a source of it.
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
    /// Fetches one token for this scope, making one attempt.
    ///
    /// # Errors
    ///
    /// Any failure. Its [`is_transient`](Error::is_transient) and [`retry_after`](Error::retry_after) decide when the
    /// cache tries again.
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>>;

    /// Exchanges a subject token for a token for this scope (RFC 8693), making one attempt.
    ///
    /// The token endpoint implements it. A source that wraps another one passes the call on.
    ///
    /// # Errors
    ///
    /// As for [`fetch`](Self::fetch); by default [`ErrorKind::Unsupported`].
    fn exchange<'a>(
        &'a self,
        subject: &'a SubjectToken,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        let _ = (subject, scope);
        Box::pin(std::future::ready(Err(Error::new(
            ErrorKind::Unsupported,
            "the token source does not support token exchange; use an authentication method of the token endpoint, \
             or implement `TokenSource::exchange`",
        ))))
    }

    /// An API rejected a token of this source. Called before the next [`fetch`](Self::fetch) for the scope, for sources
    /// that store tokens themselves: they must not return that token again. By default nothing happens.
    fn rejected(&self, scope: &Scope, token: &Token) {
        let _ = (scope, token);
    }

    /// How long one call may take before it is cancelled. `default` follows from the connect and read time-outs, and is
    /// the result by default. A source that wraps another one and may take longer adds its own time to that of the
    /// inner source.
    fn time_limit(&self, default: Duration) -> Duration {
        default
    }

    /// Sets the gauges that change by time alone to their present state: called by
    /// [`Idaas::record_metrics`](crate::Idaas::record_metrics), for sources that have metrics of their own. A source that
    /// wraps another one passes the call on. By default nothing happens.
    fn record_metrics(&self) {}
}

macro_rules! delegate {
    ($pointer:ident) => {
        impl<T: TokenSource + ?Sized> TokenSource for $pointer<T> {
            fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
                (**self).fetch(scope)
            }

            fn exchange<'a>(
                &'a self,
                subject: &'a SubjectToken,
                scope: &'a Scope,
            ) -> BoxFuture<'a, Result<TokenResponse, Error>> {
                (**self).exchange(subject, scope)
            }

            fn rejected(&self, scope: &Scope, token: &Token) {
                (**self).rejected(scope, token);
            }

            fn time_limit(&self, default: Duration) -> Duration {
                (**self).time_limit(default)
            }

            fn record_metrics(&self) {
                (**self).record_metrics();
            }
        }
    };
}

delegate!(Arc);
delegate!(Box);

/// A [`TokenSource`] that calls this function for each token: what `tower::service_fn` is for services.
///
/// It does not exchange tokens; a source that does is a type that implements [`TokenSource`].
///
/// ```
/// use std::time::Duration;
/// use tower_idaas::token::token_source_fn;
/// use tower_idaas::{Idaas, Scope, TokenResponse};
///
/// let source = token_source_fn(|scope: Scope| async move {
///     let token = format!("token-for-{}", scope.audience());
///     Ok(TokenResponse::bearer(&token)?.with_expires_in(Duration::from_secs(300)))
/// });
/// let idaas = Idaas::builder().token_source(source).scope("api://orders|.all").build()?;
/// # Ok::<(), tower_idaas::ConfigError>(())
/// ```
pub fn token_source_fn<F, Fut>(function: F) -> impl TokenSource
where
    F: Fn(Scope) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<TokenResponse, Error>> + Send + 'static,
{
    TokenSourceFn(function)
}

struct TokenSourceFn<F>(F);

impl<F> Debug for TokenSourceFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSourceFn")
    }
}

impl<F, Fut> TokenSource for TokenSourceFn<F>
where
    F: Fn(Scope) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<TokenResponse, Error>> + Send + 'static,
{
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin((self.0)(scope.clone()))
    }
}

/// The handle that a source fetches tokens for, as a source that wraps the configured one sees it: see
/// [`IdaasBuilder::wrap_source`](crate::IdaasBuilder::wrap_source).
///
/// Issuer, instance id, client id and method together identify a client to the issuer: two handles for which all four
/// are equal may share tokens. With a source that is set in code, all but the method are empty.
#[derive(Clone, Debug)]
pub struct SourceContext {
    pub(crate) issuer: String,
    pub(crate) instance_id: String,
    pub(crate) client_id: String,
    pub(crate) method: String,
    pub(crate) custom_method: bool,
    pub(crate) wait_timeout: Option<Duration>,
    pub(crate) clock: Clock,
    pub(crate) environment: Environment,
}

impl SourceContext {
    /// Where tokens are requested: the issuer's URL and the endpoint's, separated by a space, because two issuers may
    /// share an endpoint and one issuer may have two. Empty with a source that is set in code.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The id of the IDaaS instance, `idaas_…`; may be empty.
    pub fn instance_id(&self) -> &str {
        &self.instance_id
    }

    /// The client id, `app_…`; empty with a source that is set in code and no client id beside it.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The authentication method as the vendor writes it, with the plugin's name where there is one.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Whether the source or the authenticator is set in code: then the four texts may be the same for two handles that
    /// do not get the same tokens, and any shared store needs a name of its own.
    pub fn is_custom(&self) -> bool {
        self.custom_method
    }

    /// How long a request waits for a token, when the builder sets it: see
    /// [`IdaasBuilder::wait_timeout`](crate::IdaasBuilder::wait_timeout).
    pub fn wait_timeout(&self) -> Option<Duration> {
        self.wait_timeout
    }

    /// The clock of the handle.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Where the handle reads environment variables.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }
}
