//! An issuer of real sockets, on a thread and a runtime of its own, with a constant latency.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tower::service_fn;
use tower_idaas::authn::ClientSecretPost;
use tower_idaas::{BoxError, Idaas, SecretSource};

/// How the issuer responds to bad subject tokens.
#[derive(Clone, Copy, Debug)]
pub struct Bad {
    pub status: u16,
    pub body: &'static str,
    retry_after: Option<&'static str>,
    pub silent: bool,
}

pub const BAD: [Bad; 7] = [
    Bad { status: 400, body: r#"{"error":"invalid_grant"}"#, retry_after: None, silent: false },
    Bad { status: 400, body: "{}", retry_after: None, silent: false },
    Bad { status: 405, body: "<html>no</html>", retry_after: None, silent: false },
    Bad { status: 413, body: "too large", retry_after: None, silent: false },
    Bad { status: 429, body: "", retry_after: Some("300"), silent: false },
    Bad { status: 500, body: "oops", retry_after: None, silent: false },
    Bad { status: 0, body: "", retry_after: None, silent: true },
];

/// An issuer of real sockets, on a runtime of its own.
pub struct Issuer {
    address: std::net::SocketAddr,
    counts: Arc<Counts>,
    /// Dropped with the issuer, it ends the thread.
    _running: oneshot::Sender<()>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    good: AtomicU64,
    in_flight: AtomicUsize,
    peak: AtomicUsize,
}

impl Issuer {
    pub fn start(latency: Duration, bad: Bad) -> Self {
        let counts = Arc::new(Counts::default());
        let (tells, told) = std::sync::mpsc::channel();
        let (running, stopped) = oneshot::channel::<()>();
        let shared = Arc::clone(&counts);
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tells.send(listener.local_addr().unwrap()).unwrap();
                let respond = move |body: Bytes| respond(Arc::clone(&shared), body, latency, bad);
                let serving = axum::serve(listener, axum::Router::new().fallback(respond));
                tokio::select! {
                    served = serving.into_future() => served.unwrap(),
                    _dropped = stopped => {}
                }
            });
        });
        Self { address: told.recv().unwrap(), counts, _running: running }
    }

    /// A handle whose token requests go there.
    pub fn handle(&self) -> Idaas {
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let address = self.address;
        let transport = service_fn(move |mut request: Request<Full<Bytes>>| {
            let client = client.clone();
            async move {
                *request.uri_mut() = format!("http://{address}/token").parse::<Uri>()?;
                Ok::<_, BoxError>(client.request(request).await?)
            }
        });
        let builder = Idaas::builder()
            .instance_id("idaas_1")
            .client_id("app_1")
            .issuer("https://issuer.example")
            .token_endpoint("https://issuer.example/token")
            .scope("api://a|read")
            .authenticator(ClientSecretPost::new(SecretSource::value("not-a-real-secret".to_owned())))
            .transport(transport);
        builder.build().unwrap()
    }

    pub fn requests(&self) -> u64 {
        self.counts.requests.load(Ordering::SeqCst)
    }

    /// Those for subject tokens that are good.
    pub fn good_exchanges(&self) -> u64 {
        self.counts.good.load(Ordering::SeqCst)
    }

    pub fn peak(&self) -> usize {
        self.counts.peak.load(Ordering::SeqCst)
    }
}

async fn respond(
    counts: Arc<Counts>,
    body: Bytes,
    latency: Duration,
    bad: Bad,
) -> Response<axum::body::Body> {
    struct Leaves(Arc<Counts>);
    impl Drop for Leaves {
        fn drop(&mut self) {
            self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let number = counts.requests.fetch_add(1, Ordering::SeqCst) + 1;
    let in_flight = counts.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
    counts.peak.fetch_max(in_flight, Ordering::SeqCst);
    let is_of = |subject: &str| body.windows(subject.len()).any(|part| part == subject.as_bytes());
    counts.good.fetch_add(u64::from(is_of("subject_token=good")), Ordering::SeqCst);
    let _leaves = Leaves(counts);
    tokio::time::sleep(latency).await;
    if !is_of("subject_token=bad") {
        let kind = "urn:ietf:params:oauth:token-type:access_token";
        let token = format!(
            r#"{{"access_token":"t-{number}","token_type":"Bearer","expires_in":1200,"issued_token_type":"{kind}"}}"#
        );
        return Response::builder().header("content-type", "application/json").body(token.into()).unwrap();
    }
    if bad.silent {
        std::future::pending::<()>().await;
    }
    let mut response = Response::builder().status(bad.status).header("content-type", "application/json");
    if let Some(seconds) = bad.retry_after {
        response = response.header("retry-after", seconds);
    }
    response.body(bad.body.into()).unwrap()
}
