//! PLUGIN's source of tokens: `GenerateOauthToken` of the EIAM OpenAPI.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use http::Uri;
use serde_json::Map;

use crate::aliyun::answer::{blames_credential, blames_permission};
use crate::aliyun::call::{Call, member};
use crate::aliyun::{Credential, CredentialSource};
use crate::clock::Clock;
use crate::error::BoxFuture;
use crate::error::Error;
use crate::scope::Scope;
use crate::token::{TokenResponse, TokenSource};
use crate::transport::Transport;
use crate::wire::response::Answer;

/// Asks the OpenAPI for tokens, with a signature of an Alibaba Cloud identity.
#[derive(Debug)]
pub(crate) struct GenerateOauthToken {
    pub(crate) endpoint: Uri,
    pub(crate) instance_id: String,
    pub(crate) client_id: String,
    pub(crate) credentials: Arc<dyn CredentialSource>,
    pub(crate) transport: Transport,
    pub(crate) clock: Clock,
}

impl TokenSource for GenerateOauthToken {
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(self.ask(scope))
    }
}

impl GenerateOauthToken {
    /// Makes one attempt, or two when the first was refused for who asked and that would be somebody else now.
    async fn ask(&self, scope: &Scope) -> Result<TokenResponse, Error> {
        let credential = self.credentials.credential().await?;
        let result = self.call(scope, &credential).await;
        let Err(refused) = result else { return result };
        match refused.code() {
            Some(code) if blames_credential(code) => self.credentials.forget(&credential),
            Some(code) if blames_permission(code) => self.credentials.reconsider(),
            _ => return Err(refused),
        }
        match self.credentials.credential().await {
            Ok(other) if !other.is(&credential) => {
                let result = self.call(scope, &other).await;
                if let Err(error) = &result
                    && error.code().is_some_and(blames_credential)
                {
                    self.credentials.forget(&other);
                }
                result
            }
            _ => Err(refused),
        }
    }

    async fn call(&self, scope: &Scope, credential: &Credential) -> Result<TokenResponse, Error> {
        let mut parameters: Vec<(Cow<'static, str>, Cow<'_, str>)> = vec![
            ("ApplicationId".into(), self.client_id.as_str().into()),
            ("Audience".into(), scope.audience().into()),
            ("InstanceId".into(), self.instance_id.as_str().into()),
        ];
        // Each once and in one order, so that equal scopes make equal calls.
        let permissions: BTreeSet<&str> = scope.permissions().collect();
        parameters.extend((1..).zip(permissions).map(|(number, permission): (usize, &str)| {
            (format!("ScopeValues.{number}").into(), permission.into())
        }));
        let call = Call {
            endpoint: &self.endpoint,
            action: "GenerateOauthToken",
            version: "2021-12-01",
            parameters,
            scope: scope.as_str(),
        };
        call.send(credential, &self.transport, &self.clock, token).await.map_err(Error::of_issuer)
    }
}

/// The token in the answer, which spells the fields of RFC 6749 its own way.
fn token(answer: &Answer<'_>) -> Result<TokenResponse, Error> {
    const NAMES: [(&str, &str); 5] = [
        ("AccessToken", "access_token"),
        ("TokenType", "token_type"),
        ("ExpiresIn", "expires_in"),
        ("ExpiresAt", "expires_at"),
        ("IssuedTokenType", "issued_token_type"),
    ];
    let given = member(answer, "TokenResponse")?;
    let named =
        NAMES.into_iter().filter_map(|(theirs, ours)| Some((ours.to_owned(), given.get(theirs)?.clone())));
    answer.token(&Map::from_iter(named))
}
