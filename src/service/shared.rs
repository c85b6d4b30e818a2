//! What all services of one layer share, and the local cache of each: which token a request leaves with, and how its
//! header gets onto the request.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use crate::cache::entry::CacheEntry;
use crate::cache::slot::Slot;
use crate::error::Error;
use crate::scope::Scope;
use crate::service::destination::{Destinations, Elsewhere};
use crate::service::rejection::{Classifier, LeftWith};
use crate::service::request::{HttpRequest, NoToken};
use crate::token::{HeaderShard, RequestSlot, SubjectToken, Token, TokenCache};

/// What all services of one layer share. Aligned so that the reference count, which clones on other cores write, is in
/// another cache line than what each request reads.
#[derive(Clone, Debug)]
#[repr(align(128))]
pub(super) struct Shared {
    pub(super) cache: Arc<TokenCache>,
    pub(super) scope: Scope,
    pub(super) slot: Arc<Slot<Token>>,
    pub(super) destinations: Destinations,
    pub(super) classifier: Option<Classifier>,
    /// Whether the layer is one for gRPC. The service knows it by its type; what is no service asks here.
    pub(super) grpc: bool,
}

/// Stands for an origin that was not read, because no token had been rejected when the request left.
const UNKNOWN_ORIGIN: u64 = 0;

impl Shared {
    /// The slot whose token the request leaves with; none when it leaves without one.
    ///
    /// # Errors
    ///
    /// When its destination may not get a token, or there is no slot for its scope.
    pub(super) fn slot_for<R: HttpRequest>(
        &self,
        request: &mut R,
        subject: Option<&SubjectToken>,
    ) -> Result<Option<RequestSlot>, Error> {
        // A request that leaves without the layer's token may go anywhere.
        if request.extension::<NoToken>().is_some() || request.headers_mut().contains_key(AUTHORIZATION) {
            return Ok(None);
        }
        if let Err(unfit) = self.destinations.check(request.target()) {
            return match self.destinations.elsewhere {
                Elsewhere::WithoutToken => Ok(None),
                Elsewhere::Refused => Err(unfit.error(request.target())),
            };
        }
        let scope = request.extension::<Scope>();
        match (subject.or_else(|| request.extension::<SubjectToken>()), scope) {
            (Some(subject), scope) => {
                self.cache.exchange_slot(subject, scope.unwrap_or(&self.scope)).map(Some)
            }
            (None, Some(scope)) => Ok(Some(self.cache.slot(scope).into())),
            (None, None) => Ok(Some(Arc::clone(&self.slot).into())),
        }
    }

    /// Puts the header on the request; `None` when it was not put there. The origin is read where responses know
    /// theirs, and for a while after a rejection.
    #[inline]
    pub(super) fn attach<R: HttpRequest>(
        &self,
        request: &mut R,
        header: Arc<HeaderShard>,
        origin_matters: bool,
    ) -> Option<LeftWith> {
        let origin =
            if origin_matters || header.is_watched() { request.target().origin() } else { UNKNOWN_ORIGIN };
        attach(request.headers_mut(), &header).then(|| LeftWith {
            header,
            origin,
            classifier: self.classifier.as_ref().and_then(Classifier::mine),
        })
    }
}

/// The local cache of one service, so that a hit reads as little as possible of the cache that all services share.
///
/// Keeping a token updates a reference count that all cores share, so a service that is cloned for a single request
/// keeps nothing.
#[derive(Default)]
pub(super) struct LocalCache {
    token: Local<Arc<CacheEntry<Token>>>,
}

#[derive(Default)]
enum Local<T> {
    #[default]
    Unused,
    UsedOnce,
    Cached(T),
}

impl LocalCache {
    /// The header that the request leaves with, when neither the request nor the token needs further checks.
    #[inline]
    pub(super) fn header_for<R: HttpRequest>(
        &mut self,
        shared: &Shared,
        request: &R,
    ) -> Option<Arc<HeaderShard>> {
        if request.extension_count() == 0 {
            self.header(shared)
        } else {
            self.header_by_extensions(shared, request)
        }
    }

    /// The header of the layer's own token.
    #[inline]
    fn header(&mut self, shared: &Shared) -> Option<Arc<HeaderShard>> {
        if let Local::Cached(token) = &self.token
            && token.is_servable(shared.slot.clock())
        {
            return shard(token);
        }
        self.header_of_slot(shared)
    }

    fn header_of_slot(&mut self, shared: &Shared) -> Option<Arc<HeaderShard>> {
        let header = shared.slot.with_servable(|token| {
            self.token = match self.token {
                Local::Unused => Local::UsedOnce,
                Local::UsedOnce | Local::Cached(_) => Local::Cached(Arc::clone(token)),
            };
            shard(token)
        });
        header.flatten()
    }

    fn header_by_extensions<R: HttpRequest>(
        &mut self,
        shared: &Shared,
        request: &R,
    ) -> Option<Arc<HeaderShard>> {
        // Each of the three relevant extensions is looked up only while not all extensions are accounted for.
        let mut unknown = request.extension_count();
        let scope = request.extension::<Scope>();
        unknown -= usize::from(scope.is_some());
        if unknown > 0 {
            let subject = request.extension::<SubjectToken>();
            unknown -= usize::from(subject.is_some());
            if unknown > 0 && request.extension::<NoToken>().is_some() {
                return None;
            }
            if let Some(subject) = subject {
                let scope = scope.unwrap_or(&shared.scope);
                return shared.cache.with_servable_exchange(subject, scope, shard).flatten();
            }
        }
        match scope {
            Some(scope) if *scope != shared.scope => shared.cache.with_servable(scope, shard).flatten(),
            _ => self.header(shared),
        }
    }
}

/// This thread's shard of the token's header; `None` for a token that may not go into a header.
#[inline]
pub(super) fn shard(token: &Arc<CacheEntry<Token>>) -> Option<Arc<HeaderShard>> {
    token.value.header_shard().cloned()
}

/// Adds the header, unless the caller set one. False when it was not added.
#[inline]
fn attach(headers: &mut HeaderMap, header: &HeaderShard) -> bool {
    // One look-up: in the rare case that the caller set the header, the addition is undone.
    match headers.try_append(AUTHORIZATION, header.authorization()) {
        Ok(false) => true,
        Ok(true) => {
            take_last_back(headers);
            false
        }
        Err(_full) => false,
    }
}

/// Undoes the addition; the caller's own headers stay as they were.
#[cold]
#[inline(never)]
fn take_last_back(headers: &mut HeaderMap) {
    let mut values: Vec<HeaderValue> = headers.get_all(AUTHORIZATION).iter().cloned().collect();
    values.pop();
    headers.remove(AUTHORIZATION);
    for value in values {
        headers.append(AUTHORIZATION, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::recheck::Recheck;
    use crate::token::ShardedHeader;

    #[test]
    fn what_the_caller_set_stays_be_it_one_value_or_two() {
        let ours = HeaderValue::from_static("Bearer ours");
        let header = ShardedHeader::new(&ours, &Arc::new(Recheck::new()));
        for own in [&[][..], &["Basic a"], &["Basic a", "Basic b"]] {
            let mut headers = HeaderMap::new();
            for value in own {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            assert_eq!(attach(&mut headers, header.mine()), own.is_empty());
            let expected = if own.is_empty() { &["Bearer ours"][..] } else { own };
            let sent: Vec<&HeaderValue> = headers.get_all(AUTHORIZATION).iter().collect();
            assert_eq!(sent, expected);
        }
    }
}
