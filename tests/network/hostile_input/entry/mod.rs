//! Where input from outside enters, by way of the public interface: each function takes any bytes and panics when a
//! property that must hold does not. The tests call them with a few random inputs, `fuzz/` for as long as one likes.

mod configuration;
#[cfg(feature = "transport")]
mod connections;
mod destinations;
mod keys;
#[cfg(feature = "aliyun")]
mod profiles;
mod redaction;
mod responses;

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{ConfigError, Idaas, IdaasBuilder};

pub use self::configuration::{client_of, configuration, environment_variable};
#[cfg(feature = "transport")]
pub use self::connections::{http_response, proxy_response};
pub use self::destinations::{destination, scope};
pub use self::keys::{CERTIFICATE, KEY, client_with, pem};
#[cfg(feature = "aliyun")]
pub use self::profiles::{process_output, profile_file};
pub use self::redaction::redaction;
#[cfg(feature = "aliyun")]
pub use self::responses::throttling_headers;
pub use self::responses::{response_headers, token_response};

/// No name of a variable and no path, so that it can be nothing but a secret.
const SECRET: &str = "s3cr+t-hunter2==";
/// Stands for the secret in an input: random bytes would not hit on it.
const PLACEHOLDER: &[u8] = b"$S";

/// No input of this size is worth so much time, on the slowest machine.
const LONGEST: Duration = Duration::from_secs(10);

/// Panics when it is dropped too late.
struct Watch(Instant);

impl Watch {
    fn start() -> Self {
        Self(Instant::now())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let took = self.0.elapsed();
        assert!(std::thread::panicking() || took < LONGEST, "took {took:?}");
    }
}

/// A runtime whose time passes at once: a pause between attempts costs nothing.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// The first byte, which chooses what the rest is, and the rest.
fn split(input: &[u8]) -> (usize, &[u8]) {
    input.split_first().map_or((0, input), |(first, rest)| (usize::from(*first), rest))
}

/// A file of the repository: the tests and the fuzzers have different crates as their root.
fn repository_file(path: &str) -> PathBuf {
    let folders = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    folders.map(|folder| folder.join(path)).find(|path| path.exists()).unwrap()
}

/// Everything that an error shows.
fn shown(error: &(impl StdError + 'static)) -> String {
    let mut text = format!("{error} {error:#} {error:?} {error:#?}");
    let mut next = error.source();
    while let Some(cause) = next {
        let _ = write!(text, " {cause} {cause:?}");
        next = cause.source();
    }
    text
}

fn assert_hidden(text: &str, input: &[u8]) {
    assert!(!text.contains(SECRET), "{text}\nfrom {}", String::from_utf8_lossy(input));
}

/// An error's message is one line that a person can read.
fn assert_readable(message: &str) {
    assert!(!message.is_empty() && message.len() < 2_000, "{} bytes: {message:.300}", message.len());
    assert!(!message.contains(char::is_control), "{message:?}");
}

fn assert_faults_readable(error: &ConfigError) {
    assert!(!error.faults().is_empty());
    error.faults().iter().for_each(|fault| assert_readable(&fault.to_string()));
}

fn assert_fits_a_header(token: &str) {
    assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()), "{token:?}");
}

/// The client as code describes it, but for its credential.
fn client() -> IdaasBuilder {
    Idaas::builder()
        .environment(ManualEnvironment::from_iter([("APP_SECRET", SECRET)]))
        .instance_id("idaas_1")
        .client_id("app_1")
        .issuer("https://tenant.example.com")
        .token_endpoint("https://tenant.example.com/token")
        .scope("api://a|read")
}

/// Responds to every request alike, and counts them.
#[derive(Clone)]
struct Server {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    requests: Arc<AtomicUsize>,
}

impl Server {
    fn new(status: StatusCode, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self { status, headers, body: body.into(), requests: Arc::default() }
    }

    /// Issues a token.
    fn good() -> Self {
        let body = json!({ "access_token": "token", "token_type": "Bearer", "expires_in": 1200 });
        Self::new(StatusCode::OK, HeaderMap::new(), body.to_string())
    }

    fn serve(&self, builder: IdaasBuilder) -> IdaasBuilder {
        let server = self.clone();
        builder.transport(tower::service_fn(move |_| {
            server.requests.fetch_add(1, Ordering::Relaxed);
            let mut response = Response::new(Full::new(server.body.clone()));
            *response.status_mut() = server.status;
            *response.headers_mut() = server.headers.clone();
            std::future::ready(Ok::<_, Infallible>(response))
        }))
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

/// The bytes with this text in place of each placeholder.
fn filled(bytes: &[u8], text: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut rest = bytes;
    while let Some(place) = rest.windows(PLACEHOLDER.len()).position(|window| window == PLACEHOLDER) {
        whole.extend_from_slice(&rest[..place]);
        whole.extend_from_slice(text);
        rest = &rest[place + PLACEHOLDER.len()..];
    }
    whole.extend_from_slice(rest);
    whole
}
