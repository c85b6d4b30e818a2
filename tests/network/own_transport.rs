//! An HTTP service of the user's own carries the token requests; the limits hold for it too.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, LOCATION};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::service_fn;
use tower_idaas::authn::ClientSecretPost;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{ErrorKind, Idaas, IdaasBuilder, SecretSource};

const LIMIT: Duration = Duration::from_millis(150);

fn builder() -> IdaasBuilder {
    // Variables for the built-in client do not concern a transport of one's own.
    let environment =
        ManualEnvironment::from_iter([("HTTPS_PROXY", "no proxy"), ("SSL_CERT_FILE", "/nonexistent")]);
    Idaas::builder()
        .instance_id("idaas_1")
        .client_id("app_1")
        .issuer("https://issuer.example")
        .token_endpoint("https://issuer.example/token?tenant=1")
        .scope("api://x|read")
        .authenticator(ClientSecretPost::new(SecretSource::value("not-a-real-secret".to_owned())))
        .environment(environment)
}

fn token() -> Response<Full<Bytes>> {
    Response::new(Full::from(r#"{"access_token":"opaque","expires_in":1200}"#))
}

#[tokio::test]
async fn it_is_given_the_token_request_as_it_goes_out() {
    let idaas = builder()
        .transport(service_fn(|request: Request<Full<Bytes>>| async {
            assert_eq!(request.method(), Method::POST);
            assert_eq!(request.uri(), "https://issuer.example/token?tenant=1");
            assert_eq!(request.headers()[CONTENT_TYPE], "application/x-www-form-urlencoded");
            assert_eq!(request.headers()[ACCEPT], "application/json");
            assert_eq!(request.headers()[ACCEPT_ENCODING], "identity");
            let body = request.into_body().collect().await.unwrap().to_bytes();
            assert!(body.starts_with(b"grant_type=client_credentials&client_id=app_1&scope="), "{body:?}");
            Ok::<_, Infallible>(token())
        }))
        .build()
        .unwrap();
    assert_eq!(idaas.token().await.unwrap().expose_token(), "opaque");
}

#[tokio::test]
async fn its_failures_are_transient_and_chained() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let idaas = builder()
        .transport(service_fn(move |_: Request<Full<Bytes>>| {
            count.fetch_add(1, Ordering::SeqCst);
            ready(Err::<Response<Full<Bytes>>, _>(io::Error::other("the cable is cut")))
        }))
        .build()
        .unwrap();
    let error = idaas.token().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Transport, true));
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the cable is cut");
    assert!(!error.to_string().contains("tenant"), "{error}");
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn the_time_outs_hold_whether_it_keeps_the_request_or_the_response() {
    let keeps_request = builder().transport(service_fn(|request: Request<Full<Bytes>>| async move {
        let _kept = request;
        pending::<Result<Response<Full<Bytes>>, Infallible>>().await
    }));
    let drops_request = builder().transport(service_fn(|request: Request<Full<Bytes>>| {
        drop(request);
        pending::<Result<Response<Full<Bytes>>, Infallible>>()
    }));
    let keeps_answer = builder().transport(service_fn(|_: Request<Full<Bytes>>| {
        ready(Ok::<_, Infallible>(Response::new(Endless { left: 0, served: Arc::default() })))
    }));
    for builder in [keeps_request, drops_request, keeps_answer] {
        let idaas = builder.connect_timeout(LIMIT).read_timeout(LIMIT).build().unwrap();
        let start = Instant::now();
        let error = idaas.token().await.unwrap_err();
        let elapsed = start.elapsed();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true), "{error}");
        assert!(elapsed >= LIMIT && elapsed < 2 * LIMIT + Duration::from_secs(2), "{elapsed:?}");
    }
}

#[tokio::test]
async fn an_endless_response_is_cut_off() {
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let calls = Arc::new(AtomicUsize::new(0));
    let called = Arc::clone(&calls);
    let idaas = builder()
        .transport(service_fn(move |_: Request<Full<Bytes>>| {
            called.fetch_add(1, Ordering::SeqCst);
            ready(Ok::<_, Infallible>(Response::new(Endless {
                left: usize::MAX,
                served: Arc::clone(&count),
            })))
        }))
        .build()
        .unwrap();
    let error = idaas.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    assert!(error.to_string().contains("longer than 1048576 bytes"), "{error}");
    let per_call = served.load(Ordering::SeqCst) / calls.load(Ordering::SeqCst);
    assert!(per_call <= (1 << 20) + 2 * PIECE.len(), "{per_call} bytes were read");
}

#[cfg(feature = "reqwest")]
mod over_reqwest {
    use super::*;

    /// A server that answers a form at `/token` with a token, and one at `/moved` with the way there.
    async fn server() -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.windows(17).any(|part| part == b"not-a-real-secret")
                    && !request.starts_with(b"GET")
                {
                    stream.read_buf(&mut request).await.unwrap();
                }
                let text = String::from_utf8(request).unwrap();
                let answer = match text.contains(" /token ") {
                    true => {
                        "200 OK\r\nContent-Length: 41\r\n\r\n{\"access_token\":\"t\",\"expires_in\":\"1200\" }"
                    }
                    false => "302 Found\r\nLocation: /token\r\nContent-Length: 0\r\n\r\n",
                };
                assert!(text.starts_with("GET") || text.contains("content-length: "), "{text}");
                let answer = format!("HTTP/1.1 {answer}").replacen("\r\n", "\r\nConnection: close\r\n", 1);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        format!("http://{address}")
    }

    fn client() -> reqwest::ClientBuilder {
        reqwest::Client::builder().no_proxy()
    }

    #[tokio::test]
    async fn a_client_of_reqwests_carries_token_requests() {
        let url = server().await;
        let builder = builder().token_endpoint(format!("{url}/token"));
        let idaas = builder.transport_reqwest(client().build().unwrap()).build().unwrap();
        assert_eq!(idaas.token().await.unwrap().expose_token(), "t");
    }

    #[tokio::test]
    async fn a_redirect_that_it_followed_is_an_error_that_says_how_to_build_it() {
        let url = server().await;
        let at = || builder().token_endpoint(format!("{url}/moved"));
        let follows = at().transport_reqwest(client().build().unwrap()).build().unwrap();
        let error = follows.token().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::InvalidResponse, false), "{error}");
        assert!(error.to_string().contains("redirect::Policy::none()"), "{error}");

        let stays = client().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let error = at().transport_reqwest(stays).build().unwrap().token().await.unwrap_err();
        assert!(error.to_string().contains("redirects"), "{error}");
    }

    #[tokio::test]
    async fn its_failures_are_distinguished() {
        let refused = tokio::net::TcpSocket::new_v4().unwrap();
        refused.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let url = format!("http://{}/token?tenant=1", refused.local_addr().unwrap());
        let builder = builder().token_endpoint(url).transport_reqwest(client().build().unwrap());
        let error = builder.build().unwrap().token().await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connect, true), "{error}");
        assert!(!format!("{error:?}").contains("tenant"), "{error:?}");
    }
}

#[tokio::test]
async fn its_redirects_are_refused() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let idaas = builder()
        .transport(service_fn(move |_: Request<Full<Bytes>>| {
            count.fetch_add(1, Ordering::SeqCst);
            let mut answer = token();
            *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            answer.headers_mut().insert(LOCATION, "https://evil.example/".parse().unwrap());
            ready(Ok::<_, Infallible>(answer))
        }))
        .build()
        .unwrap();
    let error = idaas.token().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::InvalidResponse, false));
    assert!(error.to_string().contains("redirects of the token endpoint are refused"), "{error}");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_a_server_says_in_the_errors_of_a_client_over_http2_is_not_shown() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(go_away_with_the_request(stream));
        }
    });
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let to_server = client.clone();
    let transport = service_fn(move |mut request: Request<Full<Bytes>>| {
        *request.uri_mut() = format!("http://{address}/token").parse().unwrap();
        to_server.request(request)
    });

    // That is what the client itself tells.
    let form = "client_secret=not-a-real-secret";
    let request = Request::post(format!("http://{address}/token")).body(Full::from(form)).unwrap();
    let debug = format!("{:?}", client.request(request).await.unwrap_err());
    assert!(debug.contains("not-a-real-secret"), "{debug}");

    let error = builder().transport(transport).build().unwrap().token().await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Transport, true));
    let source = std::error::Error::source(&error).map(ToString::to_string);
    let shown = format!("{error} {error:?} {source:?}");
    assert!(!shown.contains("not-a-real-secret"), "{shown}");
    serving.abort();
}

/// Reads frames up to that with the request's form, and sends it back as the debug data of a GOAWAY
/// (RFC 9113 section 6.8).
async fn go_away_with_the_request(mut stream: TcpStream) -> io::Result<()> {
    const PREFACE: usize = 24;
    const DATA: u8 = 0;
    stream.read_exact(&mut [0; PREFACE]).await?;
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?; // empty SETTINGS
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).await?;
        if head[3] == DATA && !payload.is_empty() {
            let length = u32::try_from(8 + payload.len()).unwrap().to_be_bytes();
            let mut frame = vec![length[1], length[2], length[3], 7, 0, 0, 0, 0, 0];
            frame.extend([0, 0, 0, 0, 0, 0, 0, 2]); // no stream was served; INTERNAL_ERROR
            frame.extend(payload);
            stream.write_all(&frame).await?;
            return stream.shutdown().await;
        }
    }
}

static PIECE: [u8; 64 * 1024] = [b' '; 64 * 1024];

/// Blanks, as many pieces of them as are left; then silence.
struct Endless {
    left: usize,
    served: Arc<AtomicUsize>,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Pending;
        }
        self.left -= 1;
        self.served.fetch_add(PIECE.len(), Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&PIECE)))))
    }
}

/// What a limit or a buffer around one client does when API and token requests share it.
async fn shares_one_client<S>(client: S)
where
    S: tower::Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>> + Clone + Send + Sync + 'static,
    S::Error: Into<tower_idaas::BoxError> + std::fmt::Debug,
    S::Future: Send + 'static,
{
    use tower::{Layer, ServiceExt};

    let idaas = builder().transport(client.clone()).build().unwrap();
    let api = idaas.layer().layer(client);
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let request = Request::get("https://api.example.com/").body(Full::default()).unwrap();
        requests.spawn(api.clone().oneshot(request));
    }
    let all = async {
        while let Some(response) = requests.join_next().await {
            assert_eq!(response.unwrap().unwrap().status(), StatusCode::OK);
        }
    };
    tokio::time::timeout(Duration::from_secs(5), all).await.expect("a token in time");
}

#[tokio::test]
async fn one_client_with_a_limit_or_a_buffer_serves_api_and_token_requests() {
    let server = service_fn(async |request: Request<Full<Bytes>>| {
        tokio::task::yield_now().await;
        let is_token_request = request.uri().host() == Some("issuer.example");
        assert_ne!(is_token_request, request.headers().contains_key("authorization"));
        Ok::<_, Infallible>(token())
    });
    shares_one_client(tower::limit::ConcurrencyLimit::new(server, 1)).await;
    shares_one_client(tower::buffer::Buffer::new(server, 1)).await;
    let limited = tower::limit::ConcurrencyLimit::new(server, 1);
    shares_one_client(tower::buffer::Buffer::new(limited, 1)).await;
}
