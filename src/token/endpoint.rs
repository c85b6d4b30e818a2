//! The built-in source of tokens: the token endpoint of RFC 6749 section 3.2.

use std::collections::hash_map::RandomState;
use std::sync::Arc;

use crate::authn::{Authenticator, Client, TokenRequest};
use crate::clock::Clock;
use crate::environment::Environment;
use crate::error::BoxFuture;
use crate::error::{Error, ErrorKind};
use crate::scope::Scope;
use crate::secret::Secret;
use crate::token::issued::issued;
use crate::token::response::TokenResponse;
use crate::token::skew::{Correction, Skew};
use crate::token::source::TokenSource;
use crate::token::subject::SubjectToken;
use crate::transport::{SingleUse, Transport};
use crate::wire::call::ApiCall;
use crate::wire::profile::OAuth;

/// Sends requests to the token endpoint, with an [`Authenticator`] that proves the client's identity.
#[derive(Debug)]
pub(crate) struct TokenEndpoint {
    pub(crate) client: Client,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) transport: Transport,
    pub(crate) environment: Environment,
    pub(crate) clock: Clock,
    pub(crate) hasher: RandomState,
    pub(crate) skew: Skew,
}

impl TokenSource for TokenEndpoint {
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(self.request_token(Grant::ClientCredentials, scope))
    }

    fn exchange<'a>(
        &'a self,
        subject: &'a SubjectToken,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(self.request_token(Grant::TokenExchange(subject), scope))
    }
}

/// The grant that a token is requested with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Grant<'a> {
    /// RFC 6749 section 4.4.2.
    ClientCredentials,
    /// RFC 8693 section 2.1.
    TokenExchange(&'a SubjectToken),
}

/// What a request is made from.
#[derive(Clone, Copy, Debug)]
struct Attempt<'a> {
    grant: Grant<'a>,
    scope: &'a Scope,
    correction: Correction,
    /// The fingerprint of the previous attempt, if that was refused.
    refused: Option<u64>,
}

impl TokenEndpoint {
    /// Makes one attempt, and up to two more when the client itself was refused: one if the secret has changed
    /// meanwhile, and one with the issuer's time if the refusal shows that the clocks differ.
    pub(super) async fn request_token(
        &self,
        grant: Grant<'_>,
        scope: &Scope,
    ) -> Result<TokenResponse, Error> {
        let confirmed = self.skew.confirmed();
        let mut attempt = Attempt { grant, scope, correction: confirmed, refused: None };
        let request = self.request(attempt).await?;
        let is_time_bound = request.time_in_assertion().is_some();
        let mut attempted = request.fingerprint();
        let mut refused = match self.send(request, attempt).await {
            Err(error) if grant.refuses_client(&error, is_time_bound) => error,
            result => return result,
        };
        attempt.refused = Some(attempted);
        match self.request(attempt).await {
            Ok(request) if request.fingerprint() != attempted => {
                attempted = request.fingerprint();
                refused = match self.send(request, attempt).await {
                    Err(error) if grant.refuses_client(&error, is_time_bound) => error,
                    result => return result,
                };
            }
            _ => {}
        }
        let observed = self.skew.observe(&refused, confirmed).filter(|_| is_time_bound);
        let Some(observed) = observed else { return Err(refused) };
        let attempt = Attempt { correction: observed, refused: Some(attempted), ..attempt };
        let Ok(request) = self.request(attempt).await else {
            return Err(refused);
        };
        match self.send(request, attempt).await {
            Ok(response) => {
                self.skew.confirm(observed);
                Ok(response)
            }
            Err(error) if grant.refuses_client(&error, is_time_bound) => {
                self.skew.discard();
                Err(refused)
            }
            Err(error) => Err(error),
        }
    }

    /// A request, with everything read anew.
    async fn request(&self, attempt: Attempt<'_>) -> Result<TokenRequest, Error> {
        let Attempt { grant, scope, correction, refused } = attempt;
        let now = self.clock.now();
        let mut request = TokenRequest::new(&self.client, &self.environment, now, &self.hasher)
            .over(&self.transport)
            .at_issuer_time(correction.apply(now.system_time()))
            .after_refusal(refused);
        match grant {
            Grant::ClientCredentials => request.add_field("grant_type", "client_credentials".to_owned()),
            Grant::TokenExchange(subject) if subject.is_blank() => {
                let message = "the subject token is blank; pass the token that is to be exchanged";
                return Err(Error::new(ErrorKind::Credential, message));
            }
            Grant::TokenExchange(subject) => {
                request.add_field("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".to_owned());
                for (name, value) in subject.fields() {
                    request.add_field(name, value);
                }
            }
        }
        request.add_field("client_id", self.client.client_id.clone());
        request.add_field("scope", scope.as_str().to_owned());
        // An authenticator calls other servers, if any.
        self.authenticator.authenticate(&mut request).await.map_err(Error::of_another_server)?;
        Ok(request)
    }

    /// Sends a request. If its connection turns out to be stale, another one is made: the issuer may have received the
    /// first, and may accept its assertion only once (RFC 7523 section 3).
    async fn send(&self, request: TokenRequest, attempt: Attempt<'_>) -> Result<TokenResponse, Error> {
        let single_use = SingleUse::default();
        let result = self.send_once(request, attempt, &single_use).await;
        if !single_use.was_stale() {
            return result;
        }
        let request = self.request(attempt).await?;
        self.send_once(request, attempt, &SingleUse::on_new_connection()).await
    }

    async fn send_once(
        &self,
        request: TokenRequest,
        attempt: Attempt<'_>,
        single_use: &SingleUse,
    ) -> Result<TokenResponse, Error> {
        let Attempt { grant, scope, .. } = attempt;
        let secrets: Vec<Secret> = request.secrets();
        let endpoint = self.client.display_endpoint();
        let profile = OAuth { exchange: matches!(grant, Grant::TokenExchange(_)) };
        let exposed = secrets.iter().map(Secret::expose_secret);
        let call = ApiCall::new(&profile, &endpoint, scope.as_str(), &self.clock, exposed)
            .with_public([self.client.client_id.as_str(), self.client.instance_id.as_str()]);
        let sending = |request| self.transport.send(request, &endpoint);
        let mut request = request.into_http();
        single_use.mark(&mut request);
        let response = call.send(request, sending).await.map_err(Error::of_issuer)?;
        issued(&response, &response.object, profile.exchange).map_err(Error::of_issuer)
    }
}

impl Grant<'_> {
    /// Whether the refusal concerns the client, and not its request: another secret may be accepted, or another time.
    fn refuses_client(self, refused: &Error, is_time_bound: bool) -> bool {
        match refused.code() {
            Some(
                "invalid_client"
                | "invalid_client_credential"
                | "invalid_client_assertion"
                | "invalid_assertion",
            ) => true,
            // Without a subject token or a code, these errors can only concern the assertion.
            Some("invalid_grant" | "expired_token") => {
                is_time_bound && matches!(self, Self::ClientCredentials)
            }
            _ => false,
        }
    }
}
