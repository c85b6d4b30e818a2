//! A connection that is opened step by step, for programs that explain why there is none.

use std::future::ready;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::uri::Authority;
use http::{Request, Uri};
use http_body_util::Empty;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::cache::sync::Runtimes;
use crate::clock::Clock;
use crate::environment::Environment;
use crate::error::{BoxError, BoxFuture, ConfigError};
use crate::secret::off_worker::off_worker;
use crate::transport::client::USER_AGENT_VALUE;
use crate::transport::connector::{Connector, handshake, port};
use crate::transport::failure::{ConnectTimeout, ReadTimeout, TcpFailure};
use crate::transport::proxy::Proxies;
use crate::transport::recording_verifier::RecordingVerifier;
use crate::transport::stream::BoxIo;
use crate::transport::tcp;
use crate::transport::tls::Tls;
use crate::wire::time::date;

/// How opening a connection to an endpoint went, step by step: from
/// [`Explanation::probe`](crate::explanation::Explanation::probe).
///
/// A step is `None` after one that has failed, and where the endpoint does not need it.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Probe {
    /// DNS: the addresses of the endpoint, or of the proxy on the way to it, in the order in which they are tried.
    /// Literals and `localhost` are known without DNS.
    pub resolution: Option<ProbeStep<Vec<SocketAddr>>>,
    /// TCP: the address that has accepted the connection.
    pub connection: Option<ProbeStep<SocketAddr>>,
    /// The tunnel through a proxy: `CONNECT` or the handshake of SOCKS5, after TLS with the proxy where it speaks that.
    pub tunnel: Option<ProbeStep<()>>,
    /// TLS with the endpoint: the version, such as `TLSv1.3`.
    pub handshake: Option<ProbeStep<String>>,
    /// The certificate that the endpoint has sent, in DER form, whether or not it is trusted.
    pub certificate: Option<Vec<u8>>,
    /// How many certificate authorities are trusted, and where they are from.
    pub authorities: Option<String>,
    /// The endpoint's clock, by its response to a request `HEAD` without any credential.
    pub server_time: Option<ProbeStep<Option<ServerTime>>>,
}

/// A step of a [`Probe`].
#[derive(Debug)]
#[non_exhaustive]
pub struct ProbeStep<T> {
    /// What the step has brought, or why it failed.
    pub outcome: Result<T, BoxError>,
    /// How long it took.
    pub took: Duration,
}

/// What an endpoint's clock shows, and what this machine's showed before and after.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ServerTime {
    /// The endpoint's clock, in whole seconds: `Date` of the response.
    pub date: SystemTime,
    /// This machine's clock when the request was sent.
    pub sent: SystemTime,
    /// This machine's clock when the response arrived.
    pub received: SystemTime,
}

/// Opens connections with the parts of the built-in client.
#[derive(Debug)]
pub(crate) struct Prober<'a> {
    pub(crate) environment: &'a Environment,
    /// PEM text of further certificate authorities.
    pub(crate) root_certificates: &'a [Vec<u8>],
    pub(crate) connect_timeout: Duration,
    pub(crate) read_timeout: Duration,
}

impl Prober<'_> {
    pub(crate) async fn probe(&self, endpoint: &Uri) -> Probe {
        let mut probe = Probe::default();
        if let Err(error) = Runtimes::default().current() {
            note::<_, ()>(&mut probe.resolution, (Err(error.into()), Duration::ZERO));
            return probe;
        }
        if let Some(io) = self.open(endpoint, &mut probe).await {
            let timed = timed(self.read_timeout, ReadTimeout(self.read_timeout), server_time(io, endpoint));
            note(&mut probe.server_time, timed.await);
        }
        probe
    }

    /// The time-out holds for each step, so that a slow one does not hide what comes after it.
    async fn open(&self, endpoint: &Uri, probe: &mut Probe) -> Option<BoxIo> {
        let limit = self.connect_timeout;
        let late = || ConnectTimeout { limit, proxy: None };
        let proxies = Proxies::load(self.environment);
        let proxy = match proxies.proxy_for(endpoint) {
            Some(Err(fault)) => {
                return note(&mut probe.tunnel, (Err(fault.into()), Duration::ZERO));
            }
            Some(Ok(proxy)) => Some(proxy),
            None => None,
        };
        let hop = proxy.as_ref().map_or(endpoint, Intercept::uri);
        let addresses: Vec<SocketAddr> =
            note(&mut probe.resolution, timed(limit, late(), resolve(hop)).await)?;
        let connect = connect(&addresses, limit);
        let stream = note(&mut probe.connection, timed(limit, late(), connect).await)?;
        let mut io: BoxIo = Box::new(stream);
        if let Some(proxy) = &proxy {
            let tunnel = async {
                let connector = match proxy.uri().scheme_str() {
                    Some("https") => {
                        let load = |environment: &Environment, own: &[Vec<u8>]| {
                            Tls::load(environment, own)
                                .map_err(|faults| ConfigError::all(None, faults).into())
                        };
                        let tls = self.with_authorities(load).await?;
                        Connector::new(tls, Arc::new(proxies), limit, self.read_timeout)
                    }
                    _ => Connector::direct(limit, self.read_timeout),
                };
                Ok(((), connector.tunnel(io, proxy, endpoint).await?))
            };
            io = note(&mut probe.tunnel, timed(limit, late(), tunnel).await)?;
        }
        if endpoint.scheme_str() != Some("https") {
            return Some(io);
        }
        let (config, verifier, authorities) = match self.with_authorities(RecordingVerifier::configured).await
        {
            Ok(configured) => configured,
            Err(error) => return note(&mut probe.handshake, (Err(error), Duration::ZERO)),
        };
        probe.authorities = Some(authorities);
        let encrypt = async {
            let stream = handshake(Arc::new(config), io, endpoint).await?;
            let version = stream.get_ref().1.protocol_version().and_then(|version| version.as_str());
            let version = version.unwrap_or("an unknown version").replace('_', ".");
            let io: BoxIo = Box::new(stream);
            Ok((version, io))
        };
        let encrypted = note(&mut probe.handshake, timed(limit, late(), encrypt).await);
        probe.certificate = verifier.certificate();
        encrypted
    }

    /// Reads the authorities, on a thread that may wait for a disk.
    async fn with_authorities<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Environment, &[Vec<u8>]) -> Result<T, BoxError> + Send + 'static,
    ) -> Result<T, BoxError> {
        let (environment, own) = (self.environment.clone(), self.root_certificates.to_vec());
        off_worker(move || read(&environment, &own)).await?
    }
}

async fn resolve(hop: &Uri) -> Result<(Vec<SocketAddr>, Vec<SocketAddr>), BoxError> {
    let addresses = tcp::addresses(hop.host().unwrap_or_default(), port(hop)).await?;
    let addresses = tcp::alternating(addresses);
    Ok((addresses.clone(), addresses))
}

async fn connect(addresses: &[SocketAddr], limit: Duration) -> Result<(SocketAddr, TcpStream), BoxError> {
    let plain = |stream| -> BoxFuture<'static, Result<TcpStream, BoxError>> { Box::pin(ready(Ok(stream))) };
    let stream = tcp::race(addresses, limit, plain).await;
    let stream = stream.map_err(|cause| match cause.downcast::<TcpFailure>() {
        Ok(failure) => failure.0.into(),
        Err(cause) => cause,
    })?;
    Ok((stream.peer_addr()?, stream))
}

/// Any response has the date.
async fn server_time(io: BoxIo, endpoint: &Uri) -> Result<(Option<ServerTime>, ()), BoxError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await?;
    let request = Request::head(endpoint.path())
        .header(HOST, endpoint.authority().map(Authority::as_str).unwrap_or_default())
        .header(USER_AGENT, USER_AGENT_VALUE)
        .body(Empty::<Bytes>::new())?;
    let now = || Clock::System.now().system_time();
    let sent = now();
    let response = async {
        let response = sender.send_request(request).await;
        (response, now())
    };
    let mut response = pin!(response);
    let driven = async {
        // An error of the connection is the response's as well.
        let _ = connection.await;
    };
    let (response, received) = match tcp::first_of(response.as_mut(), driven).await {
        Some(received) => received,
        None => response.await,
    };
    let response = response?;
    let date = date(response.headers());
    Ok((date.map(|date| ServerTime { date, sent, received }), ()))
}

type Timed<T> = (Result<T, BoxError>, Duration);

async fn timed<T>(
    limit: Duration,
    late: impl Into<BoxError>,
    step: impl Future<Output = Result<T, BoxError>>,
) -> Timed<T> {
    let begun = Clock::System.now();
    let outcome = tokio::time::timeout(limit, step).await;
    (outcome.unwrap_or_else(|_| Err(late.into())), Clock::System.now().since(begun))
}

/// Notes what is reported of a step, and hands on what the next one needs.
fn note<T, N>(place: &mut Option<ProbeStep<T>>, (outcome, took): Timed<(T, N)>) -> Option<N> {
    let (outcome, next) = match outcome {
        Ok((shown, next)) => (Ok(shown), Some(next)),
        Err(error) => (Err(error), None),
    };
    *place = Some(ProbeStep { outcome, took });
    next
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;
    use crate::environment::ManualEnvironment;

    async fn probe(endpoint: &str, variables: &[(&str, &str)]) -> Probe {
        let environment = Environment::Manual(ManualEnvironment::from_iter(variables.iter().copied()));
        let limit = Duration::from_secs(2);
        let prober = Prober {
            environment: &environment,
            root_certificates: &[],
            connect_timeout: limit,
            read_timeout: limit,
        };
        prober.probe(&endpoint.parse().unwrap()).await
    }

    /// A server that reads once from each connection and writes this.
    async fn server(response: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(response.as_bytes()).await;
            }
        });
        address
    }

    async fn refusing() -> (TcpSocket, SocketAddr) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    #[tokio::test]
    async fn each_step_that_an_endpoint_needs_is_there_with_what_it_brought() {
        let address =
            server("HTTP/1.1 405 No\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n")
                .await;
        let probe = probe(&format!("http://127.0.0.1:{}/token", address.port()), &[]).await;
        assert_eq!(probe.resolution.unwrap().outcome.unwrap(), [address]);
        assert_eq!(probe.connection.unwrap().outcome.unwrap(), address);
        assert!(probe.tunnel.is_none() && probe.handshake.is_none());
        let time = probe.server_time.unwrap().outcome.unwrap().unwrap();
        assert_eq!(httpdate::fmt_http_date(time.date), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(time.sent <= time.received);
    }

    #[tokio::test]
    async fn the_servers_time_is_read_as_the_client_reads_it() {
        for (fields, is_known) in [
            ("Date: Sun, 6 Nov 1994 08:49:37 UTC\r\n", true),
            ("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nAge: 60\r\n", false),
        ] {
            let response: &'static str =
                format!("HTTP/1.1 405 No\r\n{fields}Content-Length: 0\r\n\r\n").leak();
            let address = server(response).await;
            let probe = probe(&format!("http://127.0.0.1:{}/token", address.port()), &[]).await;
            assert_eq!(probe.server_time.unwrap().outcome.unwrap().is_some(), is_known, "{fields}");
        }
    }

    #[tokio::test]
    async fn after_a_step_that_fails_there_is_none() {
        let (_taken, refused) = refusing().await;
        let probe = probe(&format!("https://127.0.0.1:{}/", refused.port()), &[]).await;
        let error = probe.connection.unwrap().outcome.unwrap_err();
        let error: &std::io::Error = error.downcast_ref().unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        assert!(probe.handshake.is_none() && probe.server_time.is_none());
    }

    #[tokio::test]
    async fn what_speaks_no_tls_fails_at_the_handshake_and_a_response_that_is_none_at_the_clock() {
        let address = server("SSH-2.0-OpenSSH_9.6\r\n").await;
        let folder = tempfile::tempdir().unwrap();
        let roots = folder.path().join("roots.pem");
        let authority = rcgen::generate_simple_self_signed(["authority".to_owned()]).unwrap();
        std::fs::write(&roots, authority.cert.pem()).unwrap();
        let variables = [("SSL_CERT_FILE", roots.to_str().unwrap())];
        let encrypted = probe(&format!("https://127.0.0.1:{}/", address.port()), &variables).await;
        assert!(encrypted.authorities.unwrap().starts_with("1 from SSL_CERT_FILE ("));
        assert!(encrypted.handshake.unwrap().outcome.is_err() && encrypted.certificate.is_none());
        let plain = probe(&format!("http://127.0.0.1:{}/", address.port()), &[]).await;
        assert!(plain.server_time.unwrap().outcome.is_err());
    }

    #[tokio::test]
    async fn behind_a_proxy_the_steps_are_those_to_the_proxy_and_its_refusal_is_the_tunnels() {
        let proxy = server("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
        let url = format!("http://user:marker@{proxy}");
        let probe = probe("https://idaas.example/token", &[("HTTPS_PROXY", &url)]).await;
        assert_eq!(probe.connection.as_ref().unwrap().outcome.as_ref().unwrap(), &proxy);
        assert!(!format!("{probe:?}").contains("marker"));
        let error = probe.tunnel.unwrap().outcome.unwrap_err();
        assert_eq!(error.to_string(), "refused with 407 Proxy Authentication Required");
        assert!(probe.handshake.is_none());
    }

    #[test]
    fn where_no_step_can_be_taken_the_first_one_says_why() {
        let probing = || probe("http://127.0.0.1:1/", &[]);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let std::task::Poll::Ready(outside) = pin!(probing()).poll(&mut context) else { panic!() };
        let without_timers = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for probe in [outside, without_timers.block_on(probing())] {
            let error = probe.resolution.unwrap().outcome.unwrap_err();
            let error: &crate::Error = error.downcast_ref().unwrap();
            assert_eq!(error.kind(), crate::ErrorKind::Runtime, "{error}");
            assert!(probe.connection.is_none() && probe.server_time.is_none());
        }
        // Without I/O, there is no connection.
        let without_io = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let probe = without_io.block_on(probing());
        assert!(probe.connection.unwrap().outcome.is_err() && probe.server_time.is_none());
    }

    #[tokio::test]
    async fn a_variable_that_is_no_proxy_is_reported_and_nothing_is_tried() {
        let probe = probe("https://idaas.example/token", &[("HTTPS_PROXY", "ftp://user:marker@host")]).await;
        assert!(probe.resolution.is_none() && probe.connection.is_none());
        let error = probe.tunnel.unwrap().outcome.unwrap_err();
        assert!(
            error.to_string().contains("HTTPS_PROXY") && !error.to_string().contains("marker"),
            "{error}"
        );
    }
}
