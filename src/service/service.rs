//! The service. The hit path is [`IdaasService::call`] down to the first `return`.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::AUTHORIZATION;
use tokio::runtime::Handle;
use tower::Service;

use crate::cache::slot::{Resolution, Slot};
use crate::error::{BoxError, Error};
use crate::scope::Scope;
use crate::service::attach::authorize;
use crate::service::destination::{Destinations, Elsewhere, Unfit};
use crate::service::future::ResponseFuture;
use crate::service::held::Held;
use crate::service::request::{HttpRequest, NoToken};
use crate::service::response::HttpResponse;
use crate::token::{HeaderShard, SubjectToken, Token, TokenCache};

/// An HTTP client whose requests leave with a token.
///
/// Ready when the inner service is, and nothing else: the token is fetched, when it must be, after the
/// request is known. Clone it freely; a clone costs what a clone of the inner service costs and little more.
pub struct IdaasService<S> {
    inner: S,
    shared: Arc<Shared>,
    held: Held,
}

/// What all services of one layer have in common. Aligned so that the reference count, which clones on other
/// cores write, stands in another cache line than what each request reads.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Shared {
    pub(super) cache: Arc<TokenCache>,
    pub(super) scope: Scope,
    pub(super) slot: Arc<Slot<Token>>,
    pub(super) destinations: Destinations,
    /// Whether responses may be those of gRPC.
    pub(super) grpc: bool,
}

impl Shared {
    /// The slot that the request's extensions ask for, if they ask for another than the layer's.
    fn slot_of<R: HttpRequest>(&self, request: &R) -> Option<Result<Arc<Slot<Token>>, Error>> {
        let scope = request.extension::<Scope>();
        match (request.extension::<SubjectToken>(), scope) {
            (Some(subject), scope) => Some(self.cache.exchange_slot(subject, scope.unwrap_or(&self.scope))),
            (None, Some(scope)) => Some(Ok(self.cache.slot(scope))),
            (None, None) => None,
        }
    }
}

impl<S> IdaasService<S> {
    pub(super) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared, held: Held::default() }
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

    /// The header that the request leaves with, when neither it nor the token needs a closer look.
    #[inline]
    fn settled_for<R: HttpRequest>(&mut self, request: &R) -> Option<Arc<HeaderShard>> {
        if request.extensions() == 0 {
            self.held.settled(&self.shared)
        } else {
            self.settled_by_extensions(request)
        }
    }

    fn settled_by_extensions<R: HttpRequest>(&mut self, request: &R) -> Option<Arc<HeaderShard>> {
        let scope = request.extension::<Scope>();
        // Where a scope is all there is, nothing else needs to be looked for.
        let plain = scope.is_some() && request.extensions() == 1;
        if !plain
            && (request.extension::<NoToken>().is_some() || request.extension::<SubjectToken>().is_some())
        {
            return None;
        }
        match scope {
            Some(scope) if *scope != self.shared.scope => self.held.settled_for(&self.shared, scope),
            _ => self.held.settled(&self.shared),
        }
    }
}

impl<S, R> Service<R> for IdaasService<S>
where
    S: Service<R> + Clone,
    S::Response: HttpResponse,
    S::Error: Into<BoxError>,
    R: HttpRequest,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = ResponseFuture<S, R>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    #[inline]
    fn call(&mut self, mut request: R) -> ResponseFuture<S, R> {
        if let Err(unfit) = self.shared.destinations.check(request.target()) {
            return self.refuse_or_pass(request, unfit);
        }
        if let Some(header) = self.settled_for(&request) {
            let origin = S::Response::origin(request.target());
            let left_with = authorize(&mut request, &header).then_some((header, origin));
            return ResponseFuture::sent(self.inner.call(request), left_with, self.shared.grpc);
        }
        self.call_with_care(request)
    }
}

impl<S> IdaasService<S> {
    /// Everything but the plain hit.
    fn call_with_care<R>(&mut self, mut request: R) -> ResponseFuture<S, R>
    where
        S: Service<R> + Clone,
        S::Response: HttpResponse,
        R: HttpRequest,
    {
        if wants_no_token(&mut request) {
            return ResponseFuture::without_token(self.inner.call(request));
        }
        let Self { inner, shared, .. } = self;
        let own;
        let slot = match shared.slot_of(&request) {
            None => &shared.slot,
            Some(Ok(slot)) => {
                own = slot;
                &own
            }
            Some(Err(error)) => return ResponseFuture::failed(error),
        };
        // Of an exchange, or come meanwhile.
        let servable = slot.with_servable(Arc::clone);
        let live = match servable {
            Some(live) => live,
            None if Handle::try_current().is_err() => {
                // Called outside a runtime, and maybe awaited inside one.
                let acquiring = Arc::clone(slot).acquire();
                return ResponseFuture::waiting(acquiring, take_readied(inner), request, shared.grpc);
            }
            None => match slot.resolve() {
                Resolution::Serve(live) => live,
                Resolution::Refuse(error) => {
                    drop(take_readied(inner));
                    return ResponseFuture::failed(error);
                }
                waiting @ Resolution::Wait(_) => {
                    let acquiring = Arc::clone(slot).settle_for(waiting);
                    return ResponseFuture::waiting(acquiring, take_readied(inner), request, shared.grpc);
                }
            },
        };
        let Some(header) = live.value.header_shard().cloned() else {
            drop(take_readied(inner));
            return ResponseFuture::failed(live.value.not_for_headers());
        };
        let origin = S::Response::origin(request.target());
        let left_with = authorize(&mut request, &header).then_some((header, origin));
        ResponseFuture::sent(inner.call(request), left_with, shared.grpc)
    }

    /// A request that goes without our token may go anywhere.
    #[cold]
    fn refuse_or_pass<R>(&mut self, mut request: R, unfit: Unfit) -> ResponseFuture<S, R>
    where
        S: Service<R> + Clone,
        S::Response: HttpResponse,
        R: HttpRequest,
    {
        let without_token = self.shared.destinations.elsewhere == Elsewhere::WithoutToken;
        if without_token || wants_no_token(&mut request) {
            return ResponseFuture::without_token(self.inner.call(request));
        }
        drop(take_readied(&mut self.inner));
        ResponseFuture::failed(unfit.error(request.target()))
    }
}

/// The readied service, to go with its request, or to be dropped with what it has reserved when there is no
/// request to make. A clone, yet to be readied, stays.
fn take_readied<S: Clone>(inner: &mut S) -> S {
    let clone = inner.clone();
    mem::replace(inner, clone)
}

fn wants_no_token<R: HttpRequest>(request: &mut R) -> bool {
    request.extension::<NoToken>().is_some() || request.headers_mut().contains_key(AUTHORIZATION)
}

impl<S: Clone> Clone for IdaasService<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
            // Not what is held: see there.
            held: Held::default(),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for IdaasService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdaasService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
