//! An inner service that takes as long to be ready as tokens live.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tower::Service;
use tower_idaas::BoxError;
use tower_idaas::clock::ManualClock;

/// Each clone is ready at its second poll only, and meanwhile the clock advances, as often as the test asks for.
#[derive(Debug)]
pub struct SlowToBeReady {
    clock: ManualClock,
    takes: Duration,
    times: Arc<AtomicUsize>,
    sent: Arc<AtomicUsize>,
    is_ready: bool,
}

impl SlowToBeReady {
    pub fn new(clock: &ManualClock, takes: Duration) -> Self {
        let (times, sent) = (Arc::default(), Arc::default());
        Self { clock: clock.clone(), takes, times, sent, is_ready: false }
    }

    /// So many clones are slow from now on.
    pub fn be_slow(&self, times: usize) {
        self.times.store(times, Ordering::SeqCst);
    }

    /// How many clones will still be slow.
    pub fn times(&self) -> usize {
        self.times.load(Ordering::SeqCst)
    }

    /// How many requests were sent.
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }
}

impl Clone for SlowToBeReady {
    fn clone(&self) -> Self {
        let (times, sent) = (Arc::clone(&self.times), Arc::clone(&self.sent));
        Self { clock: self.clock.clone(), takes: self.takes, times, sent, is_ready: false }
    }
}

impl<B> Service<Request<B>> for SlowToBeReady {
    type Response = Response<()>;
    type Error = BoxError;
    type Future = Ready<Result<Response<()>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let is_slow = !std::mem::replace(&mut self.is_ready, true) && self.times() > 0;
        if !is_slow {
            return Poll::Ready(Ok(()));
        }
        self.times.fetch_sub(1, Ordering::SeqCst);
        self.clock.advance(self.takes);
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        self.sent.fetch_add(1, Ordering::SeqCst);
        ready(Ok(Response::new(())))
    }
}
