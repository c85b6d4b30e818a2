//! `idaas credentials-server`: credentials of a cloud role at a URI, for programs that read
//! `ALIBABA_CLOUD_CREDENTIALS_URI`.
//!
//! The URI is the only protection, as the vendor's protocol has no other: it is on the loopback interface alone, and its
//! path is 256 bits of the operating system's randomness.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use clap::Args;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower_idaas::BoxError;
use tower_idaas::aliyun::{CloudCredentials, CloudRole};

use crate::bearer::timestamp;
use crate::client::ConfigArguments;
use crate::cloud_role::SessionArguments;
use crate::failure::{EXIT_CODES, Failure};
use crate::output::{note, print};
use crate::{input, shutdown};

/// More connections wait to be accepted.
const MOST_CONNECTIONS: usize = 64;
/// How long a client may take for its request, and how long all of a connection may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
const CONNECTION_LIMIT: Duration = Duration::from_secs(120);

/// Serves credentials of an Alibaba Cloud role on the loopback interface until it is interrupted. The URI, printed on
/// stdout, is secret: it is what ALIBABA_CLOUD_CREDENTIALS_URI has to be set to.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct CredentialsServerArguments {
    /// The ARN of the role, `acs:ram::…:role/…`
    #[arg(value_parser = input::name)]
    role: String,
    #[command(flatten)]
    config: ConfigArguments,
    #[command(flatten)]
    session: SessionArguments,
    /// The port on 127.0.0.1 [default: a free one]
    #[arg(long, default_value_t, hide_default_value = true)]
    port: u16,
}

pub(crate) async fn run(arguments: CredentialsServerArguments) -> Result<(), Failure> {
    let CredentialsServerArguments { role, config, session, port } = arguments;
    let role = session.role(&config.client()?, &role)?;
    // A role without credentials is reported now, and not to each program that requests them.
    document(&role.credentials().await?)?;
    let stop = shutdown::requested()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = listener.map_err(|error| of_port(port, &error))?;
    let path = unguessable_path()?;
    print(&format!("http://{}{path}\n", listener.local_addr()?))?;
    note(&format!("serving credentials of {} until interrupted\n", role.arn()));
    tokio::select! {
        failed = serve(listener, Arc::new(Served { role, path })) => Ok(failed?),
        _ = stop => Ok(()),
    }
}

fn of_port(port: u16, error: &io::Error) -> BoxError {
    format!("port {port} of 127.0.0.1 cannot be used: {error}; choose another --port").into()
}

struct Served {
    role: CloudRole,
    path: String,
}

fn unguessable_path() -> Result<String, BoxError> {
    let mut random = [0; 32];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.secure_random.fill(&mut random).map_err(|_| "the operating system gives no random numbers")?;
    Ok(format!("/{}", URL_SAFE_NO_PAD.encode(random)))
}

/// Ends with an error alone.
async fn serve(listener: TcpListener, served: Arc<Served>) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return Ok(()) };
        match listener.accept().await {
            Ok((stream, _)) => {
                let served = Arc::clone(&served);
                tokio::spawn(async move {
                    // What a connection ends with is its client's affair.
                    let _ = tokio::time::timeout(CONNECTION_LIMIT, connection(stream, served)).await;
                    drop(permit);
                });
            }
            // Such as too many open files: they are fewer later.
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, served: Arc<Served>) -> hyper::Result<()> {
    let respond = service_fn(move |request| {
        let served = Arc::clone(&served);
        async move { Ok::<_, Infallible>(respond(&served, &request).await) }
    });
    let mut connection = http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(REQUEST_LIMIT).keep_alive(false);
    connection.serve_connection(TokioIo::new(stream), respond).await
}

async fn respond<B>(served: &Served, request: &Request<B>) -> Response<Full<Bytes>> {
    if !is_equal(request.uri().path().as_bytes(), served.path.as_bytes()) {
        return response(StatusCode::NOT_FOUND, &failure("there is no such path"));
    }
    if request.method() != Method::GET {
        let mut response = response(StatusCode::METHOD_NOT_ALLOWED, &failure("use GET"));
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    let credentials = served.role.credentials().await.map_err(BoxError::from);
    match credentials.and_then(|credentials| document(&credentials)) {
        Ok(document) => response(StatusCode::OK, &document),
        Err(error) => {
            tracing::warn!(%error, "no credentials");
            response(StatusCode::SERVICE_UNAVAILABLE, &failure(&error.to_string()))
        }
    }
}

/// In a time that depends on the lengths alone.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).fold(0, |different, (one, other)| different | (one ^ other)) == 0
}

/// As the metadata service of the vendor has it.
fn document(credentials: &CloudCredentials) -> Result<Value, BoxError> {
    let token = credentials.alibaba_cloud().ok_or("the role is not one of Alibaba Cloud")?;
    Ok(json!({
        "Code": "Success",
        "AccessKeyId": token.access_key_id(),
        "AccessKeySecret": token.access_key_secret().expose_secret(),
        "SecurityToken": token.security_token().expose_secret(),
        "Expiration": timestamp(token.expires_at()),
    }))
}

fn failure(message: &str) -> Value {
    json!({ "Code": "Failed", "Message": message })
}

fn response(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
