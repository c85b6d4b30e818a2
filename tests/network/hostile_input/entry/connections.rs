//! Bytes on a connection: responses that no HTTP library would send, and those of proxies.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tower_idaas::authn::ClientSecretPost;
use tower_idaas::clock::ManualClock;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{Error, Idaas, SecretSource, Token};

use super::{
    SECRET, Watch, assert_fits_a_header, assert_hidden, assert_readable, client, filled, repository_file,
    shown, split,
};

/// A server on the loopback interface that responds with the same bytes to each request, and closes.
struct RawServer {
    port: u16,
    response: Mutex<Vec<u8>>,
}

/// The servers of this process: each entry has one, and is called by one thread at a time.
fn server(of: &'static OnceLock<RawServer>, response: Vec<u8>) -> &'static RawServer {
    let server = of.get_or_init(|| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A connection that the other side keeps open holds up no other one.
                thread::spawn(|| of.get().map(|server| server.serve(stream)));
            }
        });
        RawServer { port, response: Mutex::default() }
    });
    *server.response.lock().unwrap_or_else(PoisonError::into_inner) = response;
    server
}

impl RawServer {
    fn serve(&self, mut stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
        let mut request = [0; 8 * 1024];
        let _ = stream.read(&mut request);
        let response = self.response.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let _ = stream.write_all(&response);
        let _ = stream.shutdown(Shutdown::Write);
        // Closing with unread bytes would reset the connection before the response is read.
        while matches!(stream.read(&mut request), Ok(1..)) {}
    }
}

/// Real time passes on connections.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// The token, while the clock by hand runs a thousand times faster: pauses between attempts cost next to nothing.
fn token(idaas: &Idaas, clock: &ManualClock) -> Result<Token, Error> {
    runtime().block_on(async {
        let token = idaas.token();
        tokio::pin!(token);
        loop {
            tokio::select! {
                biased;
                token = &mut token => return token,
                () = tokio::time::sleep(Duration::from_millis(1)) => clock.advance(Duration::from_secs(1)),
            }
        }
    })
}

fn judge(outcome: Result<Token, Error>, input: &[u8]) {
    match outcome {
        Ok(token) => assert_fits_a_header(token.expose_token()),
        Err(error) => {
            assert_hidden(&shown(&error), input);
            assert_readable(&error.to_string());
        }
    }
}

/// One authority, because reading those of the platform takes longer than all the rest.
fn environment() -> ManualEnvironment {
    ManualEnvironment::from_iter([("SSL_CERT_FILE", repository_file("tests/golden/keys/pca_root.cert.pem"))])
}

fn post() -> ClientSecretPost {
    ClientSecretPost::new(SecretSource::value(SECRET.to_owned()))
}

/// The bytes that a token endpoint sends; `$S` in them stands for the client's secret.
pub fn http_response(input: &[u8]) {
    static SERVER: OnceLock<RawServer> = OnceLock::new();
    let _watch = Watch::start();
    let server = server(&SERVER, filled(input, SECRET.as_bytes()));
    let clock = ManualClock::new();
    let idaas = client()
        .environment(environment())
        .token_endpoint(format!("http://127.0.0.1:{}/token", server.port))
        .authenticator(post())
        .clock(clock.clone())
        .build()
        .unwrap();
    judge(token(&idaas, &clock), input);
}

/// The bytes that a proxy sends, of HTTP or of SOCKS5 as the first byte says; `$S` stands for its password.
pub fn proxy_response(input: &[u8]) {
    static SERVER: OnceLock<RawServer> = OnceLock::new();
    let _watch = Watch::start();
    let (choice, response) = split(input);
    let server = server(&SERVER, filled(response, SECRET.as_bytes()));
    let (scheme, login) = match choice % 4 {
        0 => ("http", format!("user:{}@", SECRET.replace('+', "%2B").replace('=', "%3D"))),
        1 => ("http", String::new()),
        2 => ("socks5", format!("user:{}@", SECRET.replace('+', "%2B").replace('=', "%3D"))),
        _ => ("socks5h", String::new()),
    };
    let environment = environment();
    environment.set("HTTPS_PROXY", format!("{scheme}://{login}127.0.0.1:{}", server.port));
    let clock = ManualClock::new();
    let idaas = client().environment(environment).authenticator(post()).clock(clock.clone()).build().unwrap();
    let outcome = token(&idaas, &clock);
    assert!(outcome.is_err(), "no TLS was spoken");
    judge(outcome, input);
}
