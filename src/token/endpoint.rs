//! The stock source of tokens: the token endpoint of RFC 6749 section 3.2.

use std::collections::hash_map::RandomState;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::authn::{Authenticator, Client, TokenRequest};
use crate::clock::Clock;
use crate::environment::Environment;
use crate::error::BoxFuture;
use crate::error::{Error, ErrorKind};
use crate::scope::Scope;
use crate::secret::Secret;
use crate::token::response::TokenResponse;
use crate::token::skew::Skew;
use crate::token::source::TokenSource;
use crate::token::subject::SubjectToken;
use crate::transport::Transport;
use crate::wire::echo::without_echo;
use crate::wire::response::{self as answer, Asked, OAuth};

/// Issuers forgive a difference of this much, and more.
const CLOCKS_DIFFER: Duration = Duration::from_secs(20);

/// Asks the token endpoint, proving who the client is with an [`Authenticator`].
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

/// What a token is asked for with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Grant<'a> {
    /// RFC 6749 section 4.4.2.
    ClientCredentials,
    /// RFC 8693 section 2.1.
    TokenExchange(&'a SubjectToken),
}

impl TokenEndpoint {
    /// Makes one attempt, or two when the first was refused and the secret has changed meanwhile, or what is
    /// known of the issuer's clock.
    pub(super) async fn ask(&self, grant: Grant<'_>, scope: &Scope) -> Result<TokenResponse, Error> {
        let request = self.request(grant, scope, None).await?;
        let tried = request.fingerprint();
        let told = request.issuer_time_told();
        let refused = match self.send(request, scope).await {
            Err(error) if error.code() == Some("invalid_client") => error,
            result => return result,
        };
        match self.request(grant, scope, Some(tried)).await {
            Ok(request) if request.fingerprint() != tried => self.send(request, scope).await,
            Ok(request) if differ(told, request.issuer_time_told()) => self.send(request, scope).await,
            _ => Err(refused),
        }
    }

    /// A request, with everything read anew. `refused` is the fingerprint of the attempt before, if that was
    /// refused.
    async fn request(
        &self,
        grant: Grant<'_>,
        scope: &Scope,
        refused: Option<u64>,
    ) -> Result<TokenRequest, Error> {
        let now = self.clock.now();
        let issuer_time = self.skew.correct(now.system_time());
        let mut request = TokenRequest::new(&self.client, &self.environment, now, &self.hasher)
            .at_issuer_time(issuer_time)
            .after_refusal(refused);
        match grant {
            Grant::ClientCredentials => request.add_field("grant_type", "client_credentials".to_owned()),
            Grant::TokenExchange(subject) if subject.is_blank() => {
                let message = "the subject token is blank; pass the token that is to be exchanged";
                return Err(Error::new(ErrorKind::Refused, message));
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

    async fn send(&self, request: TokenRequest, scope: &Scope) -> Result<TokenResponse, Error> {
        let secrets: Vec<Secret> = request.secrets();
        let endpoint = self.client.shown_endpoint();
        let sent = self.clock.now().system_time();
        let exposed = || secrets.iter().map(Secret::expose_secret);
        let answer = self.transport.send(request.into_http(), &endpoint).await;
        let answer = answer.map_err(|error| without_echo(error, exposed()))?;
        if let Some(date) = answer::date(answer.headers()) {
            self.skew.learn(date, sent, self.clock.now().system_time());
        }
        let asked = Asked {
            peer: &OAuth,
            endpoint: &endpoint,
            scope: scope.as_str(),
            secrets: exposed().collect(),
            now: self.clock.now().system_time(),
        };
        answer::read(answer.status(), answer.headers(), answer.body(), &asked).map_err(Error::of_issuer)
    }
}

/// Whether two times that assertions were made for are further apart than the attempts themselves: then the
/// first answer has told more of the issuer's clock.
fn differ(first: Option<SystemTime>, second: Option<SystemTime>) -> bool {
    let (Some(first), Some(second)) = (first, second) else { return false };
    let apart = second.duration_since(first).unwrap_or_else(|earlier| earlier.duration());
    apart > CLOCKS_DIFFER
}
