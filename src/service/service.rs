//! The service, and the path of a hit: [`IdaasService::call`] down to `ResponseFuture::sent`.
//!
//! In order: the destination is checked; the local cache returns this thread's shard of the token's header, after one
//! comparison of the coarse clock with the time of the token's next check; the header goes onto the request; the inner
//! service is called. The parts are in `shared.rs`; the rest is in [`IdaasService::call_slow`].

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tower::Service;

use crate::cache::slot::Resolution;
use crate::error::BoxError;
use crate::service::deadline::Deadline;
use crate::service::future::{ResponseFuture, Waiting};
use crate::service::protocol::{Http, Protocol};
use crate::service::request::HttpRequest;
use crate::service::response::HttpResponse;
use crate::service::shared::{LocalCache, Shared, shard};
use crate::service::wait::Wait;

/// An HTTP client whose requests leave with a token.
///
/// Ready when the inner service is: a token is fetched, where needed, once the request is known. Clone it freely; a
/// clone costs what a clone of the inner service costs and little more.
///
/// A request that has to wait for a token releases what its inner service has reserved for it, such as the permit of a
/// concurrency limit, and waits for a clone of the inner service to be ready once the token has arrived. So token
/// requests may share a limit, a buffer or a whole client with the requests that wait for them.
pub struct IdaasService<S, P = Http> {
    inner: S,
    shared: Arc<Shared>,
    local: LocalCache,
    protocol: PhantomData<fn() -> P>,
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
            let left_with = self.shared.attach(&mut request, header, S::Response::KNOWS_ORIGIN);
            return ResponseFuture::sent(self.inner.call(request), left_with);
        }
        self.call_slow(request)
    }
}

impl<S, P> IdaasService<S, P> {
    /// Every request that is not a plain hit.
    #[inline(never)]
    fn call_slow<R>(&mut self, mut request: R) -> ResponseFuture<S, R, P>
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
        // An exchanged token, or one that has arrived meanwhile.
        let header = slot.with_servable(shard).flatten();
        let header = match header {
            Some(header) => header,
            None => {
                // A call outside a runtime starts no refresh: its future may be awaited inside one.
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
                        let wait = match resolution {
                            Some(resolution) => Wait::resolved(slot, deadline, resolution),
                            None => Wait::new(slot, deadline),
                        };
                        return ResponseFuture::waiting(Waiting {
                            wait,
                            inner: inner.clone(),
                            request,
                            shared: Arc::clone(shared),
                        });
                    }
                }
            }
        };
        let left_with = shared.attach(&mut request, header, S::Response::KNOWS_ORIGIN);
        ResponseFuture::sent(inner.call(request), left_with)
    }
}

/// Releases what the ready service has reserved, because it gets no request now. A clone that is not ready takes its
/// place.
pub(super) fn release<S: Clone>(inner: &mut S) {
    let clone = inner.clone();
    drop(mem::replace(inner, clone));
}

impl<S: Clone, P> Clone for IdaasService<S, P> {
    fn clone(&self) -> Self {
        // Without the local cache: a clone may be used only once.
        Self::new(self.inner.clone(), Arc::clone(&self.shared))
    }
}

impl<S: fmt::Debug, P> fmt::Debug for IdaasService<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdaasService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
