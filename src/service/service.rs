//! The service, and the way of a request whose token is at hand: [`IdaasService::call`] down to `ResponseFuture::sent`.
//!
//! In order: the destination is checked; the local cache gives the token's header, which costs a comparison of the
//! coarse clock with the moment at which the token needs a closer look; the header is this core's copy; it goes onto
//! the request; the inner service is called. All else is in [`IdaasService::call_after_a_look`].

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use tokio::runtime::Handle;
use tower::Service;

use crate::cache::entry::CacheEntry;
use crate::cache::slot::{Resolution, Slot};
use crate::error::{BoxError, Error};
use crate::scope::Scope;
use crate::service::deadline::Deadline;
use crate::service::destination::{Destinations, Elsewhere};
use crate::service::future::{ResponseFuture, Waiting};
use crate::service::protocol::{Http, Protocol};
use crate::service::rejection::{Classifier, LeftWith};
use crate::service::request::{HttpRequest, NoToken};
use crate::service::response::HttpResponse;
use crate::token::{HeaderShard, RequestSlot, SubjectToken, Token, TokenCache};

/// An HTTP client whose requests leave with a token.
///
/// Ready when the inner service is, and nothing else: the token is fetched, when it must be, after the
/// request is known. Clone it freely; a clone costs what a clone of the inner service costs and little more.
///
/// A request that has to wait for a token gives back what its inner service had reserved for it, such as the permit of
/// a concurrency limit, and waits for a clone of the inner service to be ready once the token is there. So token
/// requests may share a limit, a buffer or a whole client with the requests that wait for them.
pub struct IdaasService<S, P = Http> {
    inner: S,
    shared: Arc<Shared>,
    local: LocalCache,
    protocol: PhantomData<fn() -> P>,
}

/// What all services of one layer have in common. Aligned so that the reference count, which clones on other
/// cores write, stands in another cache line than what each request reads.
#[derive(Clone, Debug)]
#[repr(align(128))]
pub(super) struct Shared {
    pub(super) cache: Arc<TokenCache>,
    pub(super) scope: Scope,
    pub(super) slot: Arc<Slot<Token>>,
    pub(super) destinations: Destinations,
    pub(super) classifier: Option<Classifier>,
}

/// Stands for an origin that was not read: that of a request which left before anything was rejected.
const UNKNOWN_ORIGIN: u64 = 0;

impl Shared {
    /// The slot whose token the request leaves with; none when it leaves without one.
    ///
    /// # Errors
    ///
    /// When its destination may not get a token, or there is no slot for what it asks for.
    pub(super) fn slot_for<R: HttpRequest>(
        &self,
        request: &mut R,
        subject: Option<&SubjectToken>,
    ) -> Result<Option<RequestSlot>, Error> {
        // A request that goes without our token may go anywhere.
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

    /// Puts the header on the request; none when the request leaves without ours. The origin is read where the
    /// response tells its own, and for a while after a rejection.
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
            classifier: self.classifier.clone(),
        })
    }
}

impl<S, P> IdaasService<S, P> {
    pub(super) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared, local: LocalCache::default(), protocol: PhantomData }
    }

    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The wrapped service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, R, P> Service<R> for IdaasService<S, P>
where
    S: Service<R> + Clone,
    S::Response: HttpResponse,
    S::Error: Into<BoxError>,
    R: HttpRequest,
    P: Protocol<S::Response>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = ResponseFuture<S, R, P>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    #[inline]
    fn call(&mut self, mut request: R) -> ResponseFuture<S, R, P> {
        if self.shared.destinations.check(request.target()).is_ok()
            && let Some(header) = self.local.header_for(&self.shared, &request)
        {
            let left_with = self.shared.attach(&mut request, header, S::Response::TELLS_ORIGIN);
            return ResponseFuture::sent(self.inner.call(request), left_with);
        }
        self.call_after_a_look(request)
    }
}

/// What one service keeps of the cache that all services share, so that a hit reads as little of it as possible.
///
/// To keep a token costs a reference count that all cores share, so a service that is used once, cloned for a
/// single request, keeps nothing.
#[derive(Default)]
struct LocalCache {
    token: Local<(Arc<CacheEntry<Token>>, u64)>,
}

#[derive(Default)]
enum Local<T> {
    #[default]
    Unused,
    UsedOnce,
    Kept(T),
}

impl LocalCache {
    /// The header that the request leaves with, when neither the request nor the token needs a closer look.
    #[inline]
    fn header_for<R: HttpRequest>(&mut self, shared: &Shared, request: &R) -> Option<Arc<HeaderShard>> {
        if request.extensions() == 0 {
            self.header(shared)
        } else {
            self.header_by_extensions(shared, request)
        }
    }

    /// The header of the layer's own token.
    #[inline]
    fn header(&mut self, shared: &Shared) -> Option<Arc<HeaderShard>> {
        if let Local::Kept((token, last_tick)) = &mut self.token
            && token.is_servable_since(shared.slot.clock(), last_tick)
        {
            return shard(token);
        }
        self.header_of_slot(shared)
    }

    fn header_of_slot(&mut self, shared: &Shared) -> Option<Arc<HeaderShard>> {
        let header = shared.slot.with_servable(|token| {
            self.token = match self.token {
                Local::Unused => Local::UsedOnce,
                Local::UsedOnce | Local::Kept(_) => Local::Kept((Arc::clone(token), 0)),
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
        let scope = request.extension::<Scope>();
        // Where a scope is all there is, nothing else needs to be looked for.
        let scope_alone = scope.is_some() && request.extensions() == 1;
        if !scope_alone {
            if request.extension::<NoToken>().is_some() {
                return None;
            }
            if let Some(subject) = request.extension::<SubjectToken>() {
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

/// This core's copy of the token's header; none for a token that may not go into one.
#[inline]
fn shard(token: &Arc<CacheEntry<Token>>) -> Option<Arc<HeaderShard>> {
    token.value.header_shard().cloned()
}

/// Puts the header among the others, unless the caller set one. False when the request leaves without ours.
#[inline]
fn attach(headers: &mut HeaderMap, header: &HeaderShard) -> bool {
    // One look-up: almost never is one there, and then it is put right afterwards.
    match headers.try_append(AUTHORIZATION, header.authorization()) {
        Ok(false) => true,
        Ok(true) => {
            take_last_back(headers);
            false
        }
        Err(_full) => false,
    }
}

/// The caller's own headers stay as they were.
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

impl<S, P> IdaasService<S, P> {
    /// Everything but the plain hit.
    #[inline(never)]
    fn call_after_a_look<R>(&mut self, mut request: R) -> ResponseFuture<S, R, P>
    where
        S: Service<R> + Clone,
        S::Response: HttpResponse,
        R: HttpRequest,
    {
        let Self { inner, shared, .. } = self;
        let slot = match shared.slot_for(&mut request, None) {
            Ok(Some(slot)) => slot,
            Ok(None) => return ResponseFuture::sent(inner.call(request), None),
            Err(error) => {
                release(inner);
                return ResponseFuture::failed(error);
            }
        };
        // Of an exchange, or come meanwhile.
        let header = slot.with_servable(shard).flatten();
        let header = match header {
            Some(header) => header,
            None => {
                // Called outside a runtime, and maybe awaited inside one.
                let resolution = Handle::try_current().is_ok().then(|| slot.resolve());
                match resolution {
                    Some(Resolution::Serve(token)) => match shard(&token) {
                        Some(header) => header,
                        None => {
                            release(inner);
                            return ResponseFuture::failed(token.value.not_for_headers());
                        }
                    },
                    Some(Resolution::Refuse(error)) => {
                        release(inner);
                        return ResponseFuture::failed(error);
                    }
                    resolution => {
                        release(inner);
                        let deadline = Deadline::of(&mut request, slot.clock());
                        let (waiter, bound) = (Arc::clone(&slot), deadline.clone());
                        let acquiring = Box::pin(async move {
                            let acquiring = Arc::clone(&waiter);
                            match resolution {
                                Some(resolution) => bound.bound(waiter, acquiring.wait_for(resolution)).await,
                                None => bound.bound(waiter, acquiring.acquire()).await,
                            }
                        });
                        return ResponseFuture::waiting(Waiting {
                            acquiring,
                            token: None,
                            slot,
                            deadline,
                            inner: inner.clone(),
                            request,
                            shared: Arc::clone(shared),
                        });
                    }
                }
            }
        };
        let left_with = shared.attach(&mut request, header, S::Response::TELLS_ORIGIN);
        ResponseFuture::sent(inner.call(request), left_with)
    }
}

/// Gives back what the readied service has reserved: there is no request for it to make now. A clone, yet to be
/// readied, stays.
pub(super) fn release<S: Clone>(inner: &mut S) {
    let clone = inner.clone();
    drop(mem::replace(inner, clone));
}

impl<S: Clone, P> Clone for IdaasService<S, P> {
    fn clone(&self) -> Self {
        // Not what is kept: see there.
        Self::new(self.inner.clone(), Arc::clone(&self.shared))
    }
}

impl<S: fmt::Debug, P> fmt::Debug for IdaasService<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdaasService").field("inner", &self.inner).finish_non_exhaustive()
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
        let copies = ShardedHeader::new(&ours, &Arc::new(Recheck::new()));
        for own in [&[][..], &["Basic a"], &["Basic a", "Basic b"]] {
            let mut headers = HeaderMap::new();
            for value in own {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            assert_eq!(attach(&mut headers, copies.mine()), own.is_empty());
            let expected = if own.is_empty() { &["Bearer ours"][..] } else { own };
            let sent: Vec<&HeaderValue> = headers.get_all(AUTHORIZATION).iter().collect();
            assert_eq!(sent, expected);
        }
    }
}
