//! The stock source of tokens: the token endpoint of RFC 6749 section 3.2.

use std::collections::hash_map::RandomState;
use std::sync::Arc;

use super::answer::{self, Asked};
use super::response::TokenResponse;
use super::source::TokenSource;
use crate::BoxFuture;
use crate::authn::{Authenticator, Client, TokenRequest};
use crate::clock::Clock;
use crate::environment::Environment;
use crate::error::Error;
use crate::scope::Scope;
use crate::secret::Secret;
use crate::transport::Transport;

/// Asks the token endpoint, proving who the client is with an [`Authenticator`].
#[derive(Debug)]
pub(crate) struct TokenEndpoint {
    pub(crate) client: Client,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) transport: Transport,
    pub(crate) environment: Environment,
    pub(crate) clock: Clock,
    pub(crate) hasher: RandomState,
}

impl TokenSource for TokenEndpoint {
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async move {
            let request = self.request(scope, None).await?;
            let tried = request.fingerprint();
            let refused = match self.send(request, scope).await {
                Err(error) if error.oauth_error() == Some("invalid_client") => error,
                result => return result,
            };
            // The secret may have been rotated between reading it and now.
            match self.request(scope, Some(tried)).await {
                Ok(request) if request.fingerprint() != tried => self.send(request, scope).await,
                _ => Err(refused),
            }
        })
    }
}

impl TokenEndpoint {
    /// A request for client credentials (RFC 6749 section 4.4.2), with everything read anew. `refused` is the
    /// fingerprint of the attempt before, if that was refused.
    async fn request(&self, scope: &Scope, refused: Option<u64>) -> Result<TokenRequest, Error> {
        let mut request = TokenRequest::new(&self.client, &self.environment, self.clock.now(), &self.hasher)
            .after_refusal(refused);
        request.add_field("grant_type", "client_credentials".to_owned());
        request.add_field("client_id", self.client.client_id.clone());
        request.add_field("scope", scope.as_str().to_owned());
        self.authenticator.authenticate(&mut request).await?;
        Ok(request)
    }

    async fn send(&self, request: TokenRequest, scope: &Scope) -> Result<TokenResponse, Error> {
        let secrets: Vec<Secret> = request.secrets();
        let endpoint = self.client.shown_endpoint();
        let answer = self.transport.send(request.into_http(), &endpoint).await?;
        let asked = Asked {
            endpoint: &endpoint,
            scope: scope.as_str(),
            secrets: secrets.iter().map(Secret::expose_secret).collect(),
            now: self.clock.now().system_time(),
        };
        answer::read(answer.status(), answer.headers(), answer.body(), &asked)
    }
}
