//! The load: callers of several scopes, through several services, patient and not, that never stop asking.

use std::future::{Ready, ready};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::header::AUTHORIZATION;
use http::{Request, Response};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tower::{Layer, Service, ServiceExt};
use tower_idaas::{BoxError, Idaas, IdaasService, Scope};

use crate::register::{Pulse, Register};
use crate::table::Counts;

const CALLERS: usize = 24;
/// Every so manieth caller has no patience.
const IMPATIENT: usize = 3;
const PATIENCE: Duration = Duration::from_millis(30);
/// Between two requests of a caller.
const PACE: Duration = Duration::from_millis(10);

pub fn scopes() -> [Scope; 4] {
    ["api://a|read", "api://b|read", "api://c|write", "api://d|.all"].map(|scope| scope.parse().unwrap())
}

/// Where the requests arrive: each is checked at that moment.
#[derive(Clone)]
struct Api(Register);

/// What a request tells about itself.
#[derive(Clone)]
struct Sent {
    audience: String,
    began: Instant,
}

impl Service<Request<()>> for Api {
    type Response = Response<()>;
    type Error = BoxError;
    type Future = Ready<Result<Response<()>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let sent: &Sent = request.extensions().get().unwrap();
        let header = request.headers()[AUTHORIZATION].to_str().unwrap();
        self.0.check(header.strip_prefix("Bearer ").unwrap(), &sent.audience, sent.began);
        ready(Ok(Response::new(())))
    }
}

/// All callers, and what they have seen since the last look.
pub struct Crowd {
    callers: Mutex<Vec<JoinHandle<()>>>,
    number: usize,
    counts: Arc<Mutex<Counts>>,
    over: Arc<AtomicBool>,
}

impl Crowd {
    pub fn gather(clients: &Runtime, idaas: &Idaas, register: &Register) -> Self {
        let (counts, over) = (Arc::<Mutex<Counts>>::default(), Arc::<AtomicBool>::default());
        let start = |number: usize| {
            let scope = scopes()[number % scopes().len()].clone();
            let by_layer = number.is_multiple_of(2);
            let layer = if by_layer { idaas.layer().scope(&scope) } else { idaas.layer() };
            let caller = Caller {
                idaas: idaas.clone(),
                service: layer.layer(Api(register.clone())),
                is_default: scope == scopes()[0],
                scope,
                by_layer,
                keeps_service: number % 4 < 2,
                patience: number.is_multiple_of(IMPATIENT).then_some(PATIENCE),
                register: register.clone(),
                counts: Arc::clone(&counts),
            };
            clients.spawn(caller.request_until(Arc::clone(&over)))
        };
        let mut callers: Vec<_> = (0..CALLERS).map(start).collect();
        let (register, over_too) = (register.clone(), Arc::clone(&over));
        callers.push(clients.spawn(async move {
            while !over_too.load(Ordering::Relaxed) {
                register.beat();
                sleep(Pulse::BEAT).await;
            }
        }));
        Self { callers: Mutex::new(callers), number: CALLERS, counts, over }
    }

    pub fn callers(&self) -> usize {
        self.number
    }

    pub fn take(&self) -> Counts {
        std::mem::take(&mut self.counts.lock().unwrap())
    }

    /// Ends all callers; none may have panicked.
    pub async fn disperse(&self) {
        self.over.store(true, Ordering::Relaxed);
        let callers = std::mem::take(&mut *self.callers.lock().unwrap());
        for caller in callers {
            caller.await.unwrap();
        }
    }
}

struct Caller {
    idaas: Idaas,
    service: IdaasService<Api>,
    scope: Scope,
    is_default: bool,
    /// The layer knows the scope; otherwise each request brings it.
    by_layer: bool,
    keeps_service: bool,
    patience: Option<Duration>,
    register: Register,
    counts: Arc<Mutex<Counts>>,
}

impl Caller {
    async fn request_until(mut self, over: Arc<AtomicBool>) {
        while !over.load(Ordering::Relaxed) {
            self.request().await;
            sleep(PACE).await;
        }
    }

    async fn request(&mut self) {
        let began = Instant::now();
        let mut request = Request::get("https://api.example/").body(()).unwrap();
        let audience = self.scope.audience().to_owned();
        request.extensions_mut().insert(Sent { audience: audience.clone(), began });
        if !self.by_layer {
            request.extensions_mut().insert(self.scope.clone());
        }
        let before = self.idaas.peek();
        let mut cloned = self.service.clone();
        let service = if self.keeps_service { &mut self.service } else { &mut cloned };
        let mut response = pin!(service.ready().await.unwrap().call(request));
        let first = std::future::poll_fn(|context| Poll::Ready(response.as_mut().poll(context))).await;
        let waited = first.is_pending();
        let outcome = match (first, self.patience) {
            (Poll::Ready(outcome), _) => Some(outcome),
            (Poll::Pending, None) => Some(response.await),
            (Poll::Pending, Some(patience)) => timeout(patience, response).await.ok(),
        };
        if let Some(Err(error)) = &outcome {
            assert!(error.is::<tower_idaas::Error>(), "{error}");
            // A handle tells of its default scope alone.
            let same = |(before, after): (tower_idaas::Token, tower_idaas::Token)| {
                before.expose_token() == after.expose_token()
            };
            let live = self.is_default && before.zip(self.idaas.peek()).is_some_and(same);
            self.register.failed(&audience, began, live);
        }
        let outcome = outcome.map(|outcome| outcome.is_ok());
        self.counts.lock().unwrap().count(outcome, waited, began.elapsed());
    }
}
