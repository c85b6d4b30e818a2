//! On whose behalf a token is asked for (RFC 8693).

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::digest;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::scope::Scope;
use crate::secret::Secret;

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A token of somebody else's, to be exchanged for one that this client may use on their behalf
/// (RFC 8693 section 2.1).
///
/// Hand it to [`Idaas::exchange`](crate::Idaas::exchange), or put it on a request as an extension: then the
/// layer exchanges it for the request's scope.
///
/// ```
/// use tower_idaas::SubjectToken;
///
/// // In a service: the caller's bearer goes in, a request to the next service goes out.
/// fn next(inbound: &http::HeaderMap) -> Option<http::Request<()>> {
///     let caller = SubjectToken::from_bearer(inbound)?;
///     http::Request::get("https://billing.example.com/invoices").extension(caller).body(()).ok()
/// }
/// ```
#[derive(Clone)]
pub struct SubjectToken {
    token: Typed,
    actor: Option<Typed>,
    requested_type: Cow<'static, str>,
}

#[derive(Clone)]
struct Typed {
    token: Secret,
    kind: Cow<'static, str>,
}

/// What a cached exchange is found by. The hash is a cryptographic one: two callers never share a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ExchangeKey([u8; 32]);

impl SubjectToken {
    /// An access token: `urn:ietf:params:oauth:token-type:access_token`.
    pub fn access_token(token: impl Into<Secret>) -> Self {
        Self::new(token, ACCESS_TOKEN)
    }

    /// A token of any type, named by its URI (RFC 8693 section 3).
    pub fn new(token: impl Into<Secret>, token_type: impl Into<Cow<'static, str>>) -> Self {
        let token = Typed { token: token.into(), kind: token_type.into() };
        Self { token, actor: None, requested_type: ACCESS_TOKEN.into() }
    }

    /// The bearer token of a request that came in, if it has one (RFC 6750 section 2.1).
    pub fn from_bearer(headers: &HeaderMap) -> Option<Self> {
        let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        let token = token.trim();
        (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
            .then(|| Self::access_token(token.to_owned()))
    }

    /// Asks for a token of this type instead of an access token.
    #[must_use]
    pub fn with_requested_type(mut self, token_type: impl Into<Cow<'static, str>>) -> Self {
        self.requested_type = token_type.into();
        self
    }

    /// Names who acts on the subject's behalf, by a token of theirs and its type.
    #[must_use]
    pub fn with_actor(mut self, token: impl Into<Secret>, token_type: impl Into<Cow<'static, str>>) -> Self {
        self.actor = Some(Typed { token: token.into(), kind: token_type.into() });
        self
    }

    /// The subject token's text. Keep it out of logs, errors and `Debug`.
    pub fn expose_token(&self) -> &str {
        self.token.token.expose_secret()
    }

    /// The URI of the subject token's type (RFC 8693 section 3).
    pub fn token_type(&self) -> &str {
        &self.token.kind
    }

    /// The token of the actor and the URI of its type, if there is one.
    pub fn actor(&self) -> Option<(&Secret, &str)> {
        self.actor.as_ref().map(|actor| (&actor.token, &*actor.kind))
    }

    /// The URI of the type that is asked for; of an access token by default.
    pub fn requested_type(&self) -> &str {
        &self.requested_type
    }

    /// The form fields of the exchange, without grant type and scope.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, Secret)> + use<> {
        let subject = self.token.fields("subject_token", "subject_token_type");
        let actor = self.actor.as_ref().map(|actor| actor.fields("actor_token", "actor_token_type"));
        let requested = ("requested_token_type", Secret::new(&*self.requested_type));
        subject.into_iter().chain([requested]).chain(actor.into_iter().flatten())
    }

    /// The key under which the exchange for this scope is cached.
    pub(crate) fn key(&self, scope: &Scope) -> ExchangeKey {
        let actor = self.actor.iter().flat_map(Typed::parts);
        let asked_for = [&*self.requested_type, scope.key()];
        ExchangeKey(digest(self.token.parts().into_iter().chain(actor).chain(asked_for)))
    }

    /// Whether there is anything to exchange.
    pub(crate) fn is_blank(&self) -> bool {
        self.token.token.expose_secret().trim().is_empty()
    }
}

/// A hash of the parts, each with its length, so that no two lists of them read alike.
fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in parts {
        hash.update(&part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(hash.finish().as_ref());
    digest
}

impl Typed {
    fn parts(&self) -> [&str; 2] {
        [self.token.expose_secret(), &self.kind]
    }

    fn fields(&self, token: &'static str, kind: &'static str) -> [(&'static str, Secret); 2] {
        [(token, self.token.clone()), (kind, Secret::new(&*self.kind))]
    }
}

impl fmt::Debug for SubjectToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token, actor, requested_type } = self;
        f.debug_struct("SubjectToken")
            .field("token_type", &token.kind)
            .field("actor_token_type", &actor.as_ref().map(|actor| &actor.kind))
            .field("requested_type", requested_type)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    #[test]
    fn whatever_makes_another_exchange_makes_another_key() {
        let subject = |token: &str| SubjectToken::access_token(token.to_owned());
        let a = scope("a|x a|y");
        let keys = [
            subject("t").key(&a),
            subject("u").key(&a),
            subject("t").key(&scope("a|x")),
            SubjectToken::new("t".to_owned(), "urn:ietf:params:oauth:token-type:jwt").key(&a),
            subject("t").with_requested_type("urn:ietf:params:oauth:token-type:jwt").key(&a),
            subject("t").with_actor("v".to_owned(), ACCESS_TOKEN).key(&a),
            subject("t").with_actor("w".to_owned(), ACCESS_TOKEN).key(&a),
        ];
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
        assert_eq!(subject("t").key(&a), subject("t").key(&scope("a|y  a|x")));
    }

    #[test]
    fn an_inbound_bearer_is_found_and_nothing_else_is() {
        let headers = |value: &str| {
            let value = http::HeaderValue::from_str(value).unwrap();
            HeaderMap::from_iter([(AUTHORIZATION, value)])
        };
        assert!(SubjectToken::from_bearer(&headers("Bearer t")).is_some());
        assert!(SubjectToken::from_bearer(&headers("bearer  t")).is_some());
        for value in ["Basic dDp1", "Bearer", "Bearer ", "t"] {
            assert!(SubjectToken::from_bearer(&headers(value)).is_none(), "{value}");
        }
        assert!(SubjectToken::from_bearer(&HeaderMap::new()).is_none());
    }

    #[test]
    fn debug_shows_no_token() {
        let subject = SubjectToken::access_token("marker-subject".to_owned())
            .with_actor("marker-actor".to_owned(), ACCESS_TOKEN);
        assert!(!format!("{subject:?}").contains("marker"));
    }
}
