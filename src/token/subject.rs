//! The subject that a token is requested for (RFC 8693).

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::error::{Error, ErrorKind};
use crate::scope::Scope;
use crate::secret::Secret;

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A subject token, to be exchanged for a token that this client may use on the subject's behalf (RFC 8693 section
/// 2.1).
///
/// Pass it to [`Idaas::exchange`](crate::Idaas::exchange), or put it on a request as an extension: then the layer
/// exchanges it for the request's scope. A clone is cheap, and the key of its cached token is computed once for all
/// clones.
///
/// **Verify the token first** when it comes from a caller of yours: each token that is not cached costs a request to
/// the issuer.
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
pub struct SubjectToken(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    token: Typed,
    actor: Option<Typed>,
    requested_type: Cow<'static, str>,
    /// The digest of all fields above, once it was needed.
    digest: OnceLock<Digest>,
}

#[derive(Clone)]
struct Typed {
    token: Secret,
    kind: Cow<'static, str>,
}

/// A cryptographic hash: two subjects never share a token.
type Digest = [u8; 32];

/// The key of a cached exchange. It holds a digest instead of the token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ExchangeKey {
    digest: Digest,
    scope: Scope,
}

/// The same, borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExchangeQuery<'a> {
    digest: &'a Digest,
    scope: &'a Scope,
}

impl SubjectToken {
    /// The longest subject or actor token that is exchanged, in bytes: 32 KiB. A longer one is refused before anything
    /// is sent.
    pub const MAX_LENGTH: usize = 32 * 1024;

    /// An access token: `urn:ietf:params:oauth:token-type:access_token`.
    pub fn access_token(token: impl Into<Secret>) -> Self {
        Self::new(token, ACCESS_TOKEN)
    }

    /// A token of any type, named by its URI (RFC 8693 section 3).
    pub fn new(token: impl Into<Secret>, token_type: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Parts {
            token: Typed { token: token.into(), kind: token_type.into() },
            actor: None,
            requested_type: ACCESS_TOKEN.into(),
            digest: OnceLock::new(),
        }))
    }

    /// The bearer token of an inbound request, if it has one (RFC 6750 section 2.1).
    pub fn from_bearer(headers: &HeaderMap) -> Option<Self> {
        let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        let token = token.trim();
        (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
            .then(|| Self::access_token(token.to_owned()))
    }

    /// Requests a token of this type instead of an access token. A token that the issuer does not issue as an access
    /// token goes into no header: take its text with [`Token::expose_token`](crate::Token::expose_token).
    #[must_use]
    pub fn with_requested_type(self, token_type: impl Into<Cow<'static, str>>) -> Self {
        self.with(|parts| parts.requested_type = token_type.into())
    }

    /// Sets the actor that acts on the subject's behalf: its token, and the URI of the token's type.
    #[must_use]
    pub fn with_actor(self, token: impl Into<Secret>, token_type: impl Into<Cow<'static, str>>) -> Self {
        self.with(|parts| parts.actor = Some(Typed { token: token.into(), kind: token_type.into() }))
    }

    fn with(self, change: impl FnOnce(&mut Parts)) -> Self {
        let mut parts = Arc::unwrap_or_clone(self.0);
        change(&mut parts);
        parts.digest = OnceLock::new();
        Self(Arc::new(parts))
    }

    /// The subject token's text. Keep it out of logs, errors and `Debug`.
    pub fn expose_token(&self) -> &str {
        self.0.token.token.expose_secret()
    }

    /// The URI of the subject token's type (RFC 8693 section 3).
    pub fn token_type(&self) -> &str {
        &self.0.token.kind
    }

    /// The token of the actor and the URI of its type, if there is one.
    pub fn actor(&self) -> Option<(&Secret, &str)> {
        self.0.actor.as_ref().map(|actor| (&actor.token, &*actor.kind))
    }

    /// The URI of the type that is requested; of an access token by default.
    pub fn requested_type(&self) -> &str {
        &self.0.requested_type
    }

    /// The form fields of the exchange, without grant type and scope.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, Secret)> + use<> {
        let Parts { token, actor, requested_type, digest: _ } = &*self.0;
        let subject = token.fields("subject_token", "subject_token_type");
        let actor = actor.as_ref().map(|actor| actor.fields("actor_token", "actor_token_type"));
        let requested = ("requested_token_type", Secret::new(&**requested_type));
        subject.into_iter().chain([requested]).chain(actor.into_iter().flatten())
    }

    /// The key under which the exchange for this scope is cached. Computes the digest at the first call only.
    #[inline]
    pub(crate) fn query<'a>(&'a self, scope: &'a Scope) -> ExchangeQuery<'a> {
        let digest = self.0.digest.get_or_init(|| {
            let actor = self.0.actor.iter().flat_map(Typed::parts);
            digest(self.0.token.parts().into_iter().chain(actor).chain([&*self.0.requested_type]))
        });
        ExchangeQuery { digest, scope }
    }

    #[cfg(test)]
    pub(crate) fn is_hashed(&self) -> bool {
        self.0.digest.get().is_some()
    }

    /// Whether a token is longer than those that are exchanged: then no digest of it need be computed.
    #[inline]
    pub(crate) fn is_too_long(&self) -> bool {
        let Parts { token, actor, .. } = &*self.0;
        token.is_too_long() || actor.as_ref().is_some_and(Typed::is_too_long)
    }

    /// Whether there is anything to exchange.
    pub(crate) fn is_blank(&self) -> bool {
        self.0.token.is_blank()
    }

    /// # Errors
    ///
    /// [`ErrorKind::Credential`] when a token is blank or longer than [`MAX_LENGTH`](Self::MAX_LENGTH).
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Parts { token, actor, .. } = &*self.0;
        token.check("subject")?;
        actor.as_ref().map_or(Ok(()), |actor| actor.check("actor"))
    }
}

/// A hash of the parts, each with its length, so that no two lists of parts have the same input.
fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> Digest {
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

    fn is_blank(&self) -> bool {
        self.token.expose_secret().trim().is_empty()
    }

    fn is_too_long(&self) -> bool {
        self.token.expose_secret().len() > SubjectToken::MAX_LENGTH
    }

    fn check(&self, whose: &str) -> Result<(), Error> {
        let length = self.token.expose_secret().len();
        let problem = if self.is_too_long() {
            format!("has {length} bytes, more than the {} that are exchanged", SubjectToken::MAX_LENGTH)
        } else if self.is_blank() {
            "is blank".to_owned()
        } else if self.kind.trim().is_empty() {
            "has a blank type".to_owned()
        } else {
            return Ok(());
        };
        let message = format!("the {whose} token {problem}; pass the token that is to be exchanged");
        Err(Error::new(ErrorKind::Credential, message))
    }
}

impl ExchangeQuery<'_> {
    pub(crate) fn is(&self, key: &ExchangeKey) -> bool {
        *self.digest == key.digest && *self.scope == key.scope
    }

    pub(crate) fn to_key(self) -> ExchangeKey {
        ExchangeKey { digest: *self.digest, scope: self.scope.clone() }
    }
}

impl ExchangeKey {
    pub(crate) fn query(&self) -> ExchangeQuery<'_> {
        ExchangeQuery { digest: &self.digest, scope: &self.scope }
    }
}

impl Hash for ExchangeQuery<'_> {
    /// A part of a digest is as good a hash as any.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = *self.digest;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
        self.scope.hash(state);
    }
}

impl fmt::Debug for SubjectToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { token, actor, requested_type, digest: _ } = &*self.0;
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
        let key = |subject: SubjectToken, scope: &Scope| subject.query(scope).to_key();
        // A subject token whose digest was computed before it was changed.
        let used = subject("t");
        used.query(&a);
        let keys = [
            key(subject("t"), &a),
            key(subject("u"), &a),
            key(subject("t"), &scope("a|x")),
            key(SubjectToken::new("t".to_owned(), "urn:ietf:params:oauth:token-type:jwt"), &a),
            key(used.with_requested_type("urn:ietf:params:oauth:token-type:jwt"), &a),
            key(subject("t").with_actor("v".to_owned(), ACCESS_TOKEN), &a),
            key(subject("t").with_actor("w".to_owned(), ACCESS_TOKEN), &a),
        ];
        let hasher = std::hash::RandomState::new();
        let hash = |key: &ExchangeKey| std::hash::BuildHasher::hash_one(&hasher, key.query());
        assert_eq!(keys.iter().map(hash).collect::<HashSet<_>>().len(), keys.len());
        for (index, key) in keys.iter().enumerate() {
            assert_eq!(keys.iter().position(|other| key.query().is(other)), Some(index));
        }
        let (same, same_scope) = (subject("t"), scope("a|y  a|x"));
        assert!(
            same.query(&same_scope).is(&keys[0]) && hash(&same.query(&same_scope).to_key()) == hash(&keys[0])
        );
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

    #[test]
    fn a_token_that_is_blank_or_too_long_is_refused_and_not_shown() {
        let long = "marker".repeat(SubjectToken::MAX_LENGTH / 6 + 1);
        let longest = "m".repeat(SubjectToken::MAX_LENGTH);
        let fine = || SubjectToken::access_token("t".to_owned());
        fine().check().unwrap();
        SubjectToken::access_token(longest.clone()).with_actor(longest, ACCESS_TOKEN).check().unwrap();
        for (bad, problem) in [
            (SubjectToken::access_token(" \n".to_owned()), "the subject token is blank;"),
            (SubjectToken::access_token(long.clone()), "the subject token has 32772 bytes,"),
            (SubjectToken::new("marker".to_owned(), " "), "the subject token has a blank type;"),
            (fine().with_actor(String::new(), ACCESS_TOKEN), "the actor token is blank;"),
            (fine().with_actor(long, ACCESS_TOKEN), "the actor token has 32772 bytes,"),
        ] {
            let error = bad.check().unwrap_err();
            assert!(
                error.to_string().starts_with(problem) && !error.to_string().contains("marker"),
                "{error}"
            );
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Credential, false));
        }
    }
}
