//! PLUGIN's token source: `GenerateOauthToken` of the EIAM OpenAPI.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use http::Uri;
use serde_json::Map;

use crate::aliyun::profile::{OpenApi, blames_credential, blames_permission};
use crate::aliyun::signed_call::{Channel, SignedCall};
use crate::aliyun::{Credential, CredentialProvider};
use crate::error::BoxFuture;
use crate::error::{Error, ErrorKind};
use crate::scope::Scope;
use crate::token::{SubjectToken, TokenResponse, TokenSource, issued};
use crate::wire::call::ApiResponse;

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Requests tokens from the OpenAPI, signed with an Alibaba Cloud identity.
#[derive(Debug)]
pub(crate) struct GenerateOauthToken {
    pub(crate) endpoint: Uri,
    pub(crate) instance_id: String,
    pub(crate) client_id: String,
    pub(crate) credentials: Arc<dyn CredentialProvider>,
    pub(crate) channel: Channel,
}

impl TokenSource for GenerateOauthToken {
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(self.request_token(scope, None))
    }

    fn exchange<'a>(
        &'a self,
        subject: &'a SubjectToken,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async move {
            exchangeable(subject)?;
            self.request_token(scope, Some(subject)).await
        })
    }
}

/// The OpenAPI exchanges access tokens for access tokens, and supports no actor.
fn exchangeable(subject: &SubjectToken) -> Result<(), Error> {
    let unsupported = |problem: String| {
        let message = format!("{problem}; use an authentication method of the token endpoint for that");
        Err(Error::new(ErrorKind::Unsupported, message))
    };
    if subject.expose_token().trim().is_empty() {
        let message = "the subject token is blank; pass the token that is to be exchanged";
        return Err(Error::new(ErrorKind::Credential, message));
    }
    if subject.actor().is_some() {
        return unsupported("the OpenAPI takes no actor token".into());
    }
    for (what, kind) in [("subject", subject.token_type()), ("requested", subject.requested_type())] {
        if kind != ACCESS_TOKEN {
            return unsupported(format!(
                "the OpenAPI exchanges access tokens only, and the {what} type is another"
            ));
        }
    }
    Ok(())
}

impl GenerateOauthToken {
    /// Makes one attempt. A second follows when the first was refused for its credential and another credential is
    /// available.
    async fn request_token(
        &self,
        scope: &Scope,
        subject: Option<&SubjectToken>,
    ) -> Result<TokenResponse, Error> {
        let credential = self.credentials.credential().await.map_err(Error::of_another_server)?;
        let result = self.call(scope, subject, &credential).await;
        let Err(refused) = result else { return result };
        match refused.code() {
            Some(code) if blames_credential(code) => self.credentials.forget(&credential),
            Some(code) if blames_permission(code) => self.credentials.reconsider(),
            _ => return Err(refused),
        }
        match self.credentials.credential().await {
            Ok(other) if !other.is(&credential) => {
                let result = self.call(scope, subject, &other).await;
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

    async fn call(
        &self,
        scope: &Scope,
        subject: Option<&SubjectToken>,
        credential: &Credential,
    ) -> Result<TokenResponse, Error> {
        let mut parameters: Vec<(Cow<'static, str>, Cow<'_, str>)> = vec![
            ("ApplicationId".into(), self.client_id.as_str().into()),
            ("Audience".into(), scope.audience().into()),
            ("InstanceId".into(), self.instance_id.as_str().into()),
        ];
        // Sorted and without repetitions, so that equal scopes make equal calls.
        let permissions: BTreeSet<&str> = scope.permissions().collect();
        parameters.extend((1..).zip(permissions).map(|(number, permission): (usize, &str)| {
            (format!("ScopeValues.{number}").into(), permission.into())
        }));
        if let Some(subject) = subject {
            parameters.extend([
                ("GrantType".into(), TOKEN_EXCHANGE.into()),
                ("SubjectToken".into(), subject.expose_token().into()),
                ("SubjectTokenType".into(), subject.token_type().into()),
                ("RequestedTokenType".into(), subject.requested_type().into()),
            ]);
        }
        let call = SignedCall {
            endpoint: &self.endpoint,
            action: "GenerateOauthToken",
            version: "2021-12-01",
            parameters,
            // As in the vendor's own client, the subject token is in the query.
            secrets: subject.map(SubjectToken::expose_token).into_iter().collect(),
            scope: scope.as_str(),
            profile: OpenApi { permission: Some(self.permission()), exchange: subject.is_some() },
        };
        let read = |response: &ApiResponse<'_>| token(response, subject.is_some());
        call.send(credential, &self.channel, read).await.map_err(Error::of_issuer)
    }

    /// The RAM action and resource that the caller needs.
    fn permission(&self) -> (String, String) {
        let host = self.endpoint.host().unwrap_or_default();
        // `eiam.cn-hangzhou.aliyuncs.com`, `eiam-vpc.cn-hangzhou.aliyuncs.com`
        let region = host
            .strip_suffix(".aliyuncs.com")
            .and_then(|host| host.split_once('.'))
            .map_or("*", |(_, it)| it);
        let Self { instance_id, client_id, .. } = self;
        let resource = format!("acs:eiam:{region}:*:instance/{instance_id}/application/{client_id}");
        ("eiam:GenerateOauthToken".into(), resource)
    }
}

/// The token in the response, whose field names differ from those of RFC 6749.
fn token(response: &ApiResponse<'_>, exchanged: bool) -> Result<TokenResponse, Error> {
    const NAMES: [(&str, &str); 5] = [
        ("AccessToken", "access_token"),
        ("TokenType", "token_type"),
        ("ExpiresIn", "expires_in"),
        ("ExpiresAt", "expires_at"),
        ("IssuedTokenType", "issued_token_type"),
    ];
    let found = response.member("TokenResponse")?;
    let named =
        NAMES.into_iter().filter_map(|(theirs, ours)| Some((ours.to_owned(), found.get(theirs)?.clone())));
    issued(response, &Map::from_iter(named), exchanged)
}
