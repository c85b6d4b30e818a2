//! The layer for secrets that are not tokens of IDaaS: the API key of another service, a third party's access token.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, StatusCode};
use tower::Layer;

use crate::cache::slot::Slot;
use crate::error::{BoxError, ConfigError, ConfigFault, Error};
use crate::secret::Secret;
use crate::service::authorize::Authorized;
use crate::service::deadline::Deadline;
use crate::service::destination::{Destinations, Elsewhere};
use crate::service::rejection::Classifier;
use crate::service::request::HttpRequest;
use crate::service::secret_placement::{Placement, SecretShared};
use crate::service::secret_service::SecretService;
use crate::token::Token;

/// Wraps an HTTP client so that each request leaves with a secret stored in IDaaS: an API key, or the access token of
/// a third party.
///
/// Made by [`ApiKey::layer`](crate::aliyun::ApiKey::layer) and [`OauthToken::layer`](crate::aliyun::OauthToken::layer),
/// with a list of origins: the secret goes there, over HTTPS or to this machine, and nowhere else. By default it is
/// sent as `Authorization: Bearer`.
///
/// It works as [`IdaasLayer`](super::IdaasLayer) does: a header that the caller set stays as it is (what a function
/// given to [`with`](Self::with) does with it is up to the function),
/// [`NoToken`](super::NoToken) sends a request without the secret, a request's own time limit bounds its wait, a
/// waiting request holds nothing of the inner service, a response that [rejects](super::rejects_token) the secret
/// invalidates it, and [`RetryUnauthorized`](super::RetryUnauthorized) around the layer replays that request.
///
/// # Redirects
///
/// An inner client that follows redirects must remove `Authorization` on the way to another origin, and must not put it
/// back on: build that of reqwest with `Idaas::redirect_policy()`, which keeps to the origin. Most other clients remove no
/// other header: with [`header`](Self::header) or [`with`](Self::with), use that policy, or a client that follows none.
#[derive(Clone, Debug)]
pub struct SecretLayer {
    shared: SecretShared,
}

impl SecretLayer {
    /// # Errors
    ///
    /// An empty list, or all entries that are not origins.
    pub(crate) fn new<I>(slot: Arc<Slot<Token>>, origins: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut any = false;
        let mut destinations = Destinations::default();
        destinations.allow_origins(origins.into_iter().inspect(|_| any = true))?;
        if !any {
            let problem =
                "is empty; name the origins that may get the secret, such as `https://api.example.com`";
            return Err(ConfigError::one(ConfigFault::new("origins", problem)));
        }
        let shared = SecretShared { slot, destinations, placement: Placement::Bearer, classifier: None };
        Ok(Self { shared })
    }

    /// Puts the secret into this header instead, such as `x-api-key`, as it is. See [above](Self#redirects) about
    /// redirects.
    ///
    /// ```
    /// # fn example(idaas: &tower_idaas::Idaas) -> Result<(), tower_idaas::ConfigError> {
    /// use http::HeaderName;
    ///
    /// let layer = idaas.api_key("model")?.layer(["https://llm.example.com"])?;
    /// let layer = layer.header(HeaderName::from_static("x-api-key"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn header(mut self, name: HeaderName) -> Self {
        self.shared.placement = Placement::Header(name);
        self
    }

    /// Lets this function put the secret on each request instead, in another form. The headers that it adds or changes
    /// are marked as sensitive. It is called for a request with such headers of the caller's, too, and may keep them.
    ///
    /// ```
    /// # fn example(idaas: &tower_idaas::Idaas) -> Result<(), tower_idaas::ConfigError> {
    /// let layer = idaas.api_key("search")?.layer(["https://search.example.com"])?.with(|key, headers| {
    ///     headers.insert("authorization", format!("Key {}", key.expose_secret()).try_into()?);
    ///     Ok(())
    /// });
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It is called only for requests to origins of the list. When it fails, the request is not sent.
    #[must_use]
    pub fn with(
        mut self,
        place: impl Fn(&Secret, &mut HeaderMap) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> Self {
        self.shared.placement = Placement::Function(Arc::new(place));
        self
    }

    /// Adds to the list of origins, as [`IdaasLayer::allow_origins`](super::IdaasLayer::allow_origins) does.
    ///
    /// # Errors
    ///
    /// All entries that are not origins, at once.
    pub fn allow_origins<I>(mut self, origins: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.shared.destinations.allow_origins(origins)?;
        Ok(self)
    }

    /// Lets the secret go to this host over plain HTTP if its origin is on the list, as
    /// [`IdaasLayer::allow_plaintext`](super::IdaasLayer::allow_plaintext) does.
    ///
    /// # Errors
    ///
    /// When no request can match the entry, or when it stands for the sub-domains of a public suffix.
    pub fn allow_plaintext(mut self, host: impl AsRef<str>) -> Result<Self, ConfigError> {
        self.shared.destinations.allow_plaintext(host.as_ref())?;
        Ok(self)
    }

    /// Sends requests to other destinations without the secret, instead of failing them.
    #[must_use]
    pub fn without_secret_elsewhere(mut self) -> Self {
        self.shared.destinations.elsewhere = Elsewhere::WithoutToken;
        self
    }

    /// Decides with this function which responses reject the secret, instead of with
    /// [`rejects_token`](super::rejects_token).
    #[must_use]
    pub fn rejection_classifier(
        mut self,
        rejects: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.shared.classifier = Some(Classifier::new(rejects));
        self
    }

    /// Puts the secret on a request, for an adapter of any client that is no Tower service, as
    /// [`IdaasLayer::authorize`](super::IdaasLayer::authorize) does with a token.
    ///
    /// # Errors
    ///
    /// When there is no secret and none can be fetched, or when the destination may not get it
    /// ([`ErrorKind::Destination`](crate::ErrorKind::Destination)).
    pub async fn authorize<R: HttpRequest>(&self, request: &mut R) -> Result<Authorized, Error> {
        let shared = &self.shared;
        if !shared.applies_to(request)? {
            return Ok(Authorized::without());
        }
        let deadline = Deadline::of(request, shared.slot.clock());
        let slot = Arc::clone(&shared.slot);
        let secret = deadline.clone().bound(Arc::clone(&slot), slot.acquire()).await?;
        deadline.pass_on(request)?;
        let left_with = shared.attach(request, &secret.value, true)?;
        Ok(Authorized { left_with, grpc: false })
    }
}

impl<S> Layer<S> for SecretLayer {
    type Service = SecretService<S>;

    fn layer(&self, inner: S) -> SecretService<S> {
        SecretService::new(inner, Arc::new(self.shared.clone()))
    }
}
