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
use crate::transport::Transport;
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
        Box::pin(self.ask(Grant::ClientCredentials, scope))
    }

    fn exchange<'a>(
        &'a self,
        subject: &'a SubjectToken,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(self.ask(Grant::TokenExchange(subject), scope))
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

impl TokenEndpoint {
    /// Makes one attempt, and up to two more when the client itself was refused: one if the secret has changed
    /// meanwhile, and one with the issuer's time if the refusal shows that the clocks differ.
    pub(super) async fn ask(&self, grant: Grant<'_>, scope: &Scope) -> Result<TokenResponse, Error> {
        let confirmed = self.skew.confirmed();
        let request = self.request(grant, scope, confirmed, None).await?;
        let is_time_bound = request.issuer_time_told().is_some();
        let mut attempted = request.fingerprint();
        let mut refused = match self.send(request, grant, scope).await {
            Err(error) if grant.refuses_client(&error, is_time_bound) => error,
            result => return result,
        };
        match self.request(grant, scope, confirmed, Some(attempted)).await {
            Ok(request) if request.fingerprint() != attempted => {
                attempted = request.fingerprint();
                refused = match self.send(request, grant, scope).await {
                    Err(error) if grant.refuses_client(&error, is_time_bound) => error,
                    result => return result,
                };
            }
            _ => {}
        }
        let observed = self.skew.observe(&refused, confirmed).filter(|_| is_time_bound);
        let Some(observed) = observed else { return Err(refused) };
        let Ok(request) = self.request(grant, scope, observed, Some(attempted)).await else {
            return Err(refused);
        };
        match self.send(request, grant, scope).await {
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

    /// A request, with everything read anew. `refused` is the fingerprint of the previous attempt, if that was refused.
    async fn request(
        &self,
        grant: Grant<'_>,
        scope: &Scope,
        correction: Correction,
        refused: Option<u64>,
    ) -> Result<TokenRequest, Error> {
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
        self.authenticator.authenticate(&mut request).await?;
        Ok(request)
    }

    async fn send(
        &self,
        request: TokenRequest,
        grant: Grant<'_>,
        scope: &Scope,
    ) -> Result<TokenResponse, Error> {
        let secrets: Vec<Secret> = request.secrets();
        let endpoint = self.client.shown_endpoint();
        let profile = OAuth { exchange: matches!(grant, Grant::TokenExchange(_)) };
        let exposed = secrets.iter().map(Secret::expose_secret);
        let call = ApiCall::new(&profile, &endpoint, scope.as_str(), &self.clock, exposed)
            .with_public([self.client.client_id.as_str(), self.client.instance_id.as_str()]);
        let sending = |request| self.transport.send(request, &endpoint);
        let response = call.send(request.into_http(), sending).await.map_err(Error::of_issuer)?;
        issued(&response, &response.object).map_err(Error::of_issuer)
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
