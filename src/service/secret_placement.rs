//! Which requests get a secret stored in IDaaS, and how.

use std::fmt;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::cache::slot::Slot;
use crate::error::{BoxError, Error, ErrorKind};
use crate::secret::Secret;
use crate::service::destination::{Destinations, Elsewhere};
use crate::service::rejection::{Classifier, LeftWith};
use crate::service::request::{HttpRequest, NoToken};
use crate::token::Token;

/// What all services of one layer share.
#[derive(Clone, Debug)]
pub(super) struct SecretShared {
    pub(super) slot: Arc<Slot<Token>>,
    pub(super) destinations: Destinations,
    pub(super) placement: Placement,
    pub(super) classifier: Option<Classifier>,
}

/// Where the secret goes on a request.
#[derive(Clone)]
pub(super) enum Placement {
    Bearer,
    Header(HeaderName),
    Function(Arc<PlaceFn>),
}

type PlaceFn = dyn Fn(&Secret, &mut HeaderMap) -> Result<(), BoxError> + Send + Sync;

impl SecretShared {
    /// Whether the request gets the secret.
    ///
    /// # Errors
    ///
    /// When its destination may not get the secret.
    pub(super) fn applies_to<R: HttpRequest>(&self, request: &mut R) -> Result<bool, Error> {
        if request.extension::<NoToken>().is_some() || self.placement.is_taken(request.headers_mut()) {
            return Ok(false);
        }
        match self.destinations.check(request.target()) {
            Ok(()) => Ok(true),
            Err(_) if self.destinations.elsewhere == Elsewhere::WithoutToken => Ok(false),
            Err(unfit) => Err(unfit.error(request.target())),
        }
    }

    /// Puts the secret on the request.
    ///
    /// # Errors
    ///
    /// That of the program's function.
    pub(super) fn attach<R: HttpRequest>(
        &self,
        request: &mut R,
        secret: &Token,
        origin_matters: bool,
    ) -> Result<Option<LeftWith>, Error> {
        let header = secret.header_shard().cloned().ok_or_else(|| secret.not_for_headers())?;
        let origin = match origin_matters || header.is_watched() {
            true => request.target().origin(),
            false => 0,
        };
        let headers = request.headers_mut();
        match &self.placement {
            Placement::Bearer => {
                headers.insert(AUTHORIZATION, header.authorization());
            }
            Placement::Header(name) => {
                let value = HeaderValue::from_str(secret.expose_token());
                let mut value = value.map_err(|_invalid| {
                    Error::new(
                        ErrorKind::Credential,
                        "the secret does not fit into a header; set another one",
                    )
                })?;
                value.set_sensitive(true);
                headers.insert(name.clone(), value);
            }
            Placement::Function(place) => {
                let before = headers.clone();
                place(&Secret::new(secret.expose_token()), headers).map_err(|cause| {
                    let message =
                        "the program's function could not put the secret on the request, which was not sent";
                    Error::new(ErrorKind::Credential, message).with_source(cause)
                })?;
                mark_sensitive(headers, &before);
            }
        }
        let classifier = self.classifier.as_ref().and_then(Classifier::mine);
        Ok(Some(LeftWith { header, origin, classifier }))
    }
}

impl Placement {
    /// Whether the caller has set the header already.
    fn is_taken(&self, headers: &HeaderMap) -> bool {
        match self {
            Self::Bearer => headers.contains_key(AUTHORIZATION),
            Self::Header(name) => headers.contains_key(name),
            Self::Function(_) => false,
        }
    }
}

impl fmt::Debug for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer => f.write_str("Bearer"),
            Self::Header(name) => f.debug_tuple("Header").field(name).finish(),
            Self::Function(_) => f.write_str("Function"),
        }
    }
}

/// Marks each header that was not there before as sensitive, so that no `Debug` shows it. Whether it holds the secret
/// cannot be seen: the function may have encoded it.
fn mark_sensitive(headers: &mut HeaderMap, before: &HeaderMap) {
    for (name, value) in headers.iter_mut() {
        if !before.get_all(name).iter().any(|old| old == value) {
            value.set_sensitive(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_function_adds_or_changes_is_sensitive_whatever_it_made_of_the_secret() {
        let mut before = HeaderMap::new();
        before.insert("accept", HeaderValue::from_static("text/plain"));
        before.insert("x-kept", HeaderValue::from_static("kept"));
        before.insert("x-changed", HeaderValue::from_static("before"));
        let mut headers = before.clone();
        // Base64 of `user:not-a-real-secret`.
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic dXNlcjpub3QtYS1yZWFsLXNlY3JldA=="));
        headers.insert("x-changed", HeaderValue::from_static("dGVyY2Vz"));
        headers.append("x-kept", HeaderValue::from_static("c2VjcmV0"));
        mark_sensitive(&mut headers, &before);
        let shown = format!("{headers:?}");
        assert!(shown.contains("text/plain") && shown.contains("kept"), "{shown}");
        assert!(["dXNlcj", "dGVyY2Vz", "c2VjcmV0"].iter().all(|hidden| !shown.contains(hidden)), "{shown}");
    }
}
