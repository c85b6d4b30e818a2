//! Responses of the token endpoint byte by byte, as old, odd and broken servers and gateways send them.

use std::time::{Duration, SystemTime};

use crate::support::raw::{Manner, RawServer};
use tower_idaas::authn::{
    Authenticator, AzureIdentity, ClientSecretBasic, ClientSecretPost, GithubActionsIdentity, Oidc,
};
use tower_idaas::clock::ManualClock;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{Error, ErrorKind, Idaas, SecretSource, SubjectToken, Token};

const BODY: &str = r#"{"access_token":"t","expires_in":1200}"#;

fn secret() -> SecretSource {
    SecretSource::value("not-a-real-secret".to_owned())
}

fn idaas(server: &RawServer, method: impl Authenticator) -> Idaas {
    idaas_with(server, method, ManualEnvironment::new())
}

fn idaas_with(server: &RawServer, method: impl Authenticator, environment: ManualEnvironment) -> Idaas {
    Idaas::builder()
        .instance_id("idaas_1")
        .client_id("app_1")
        .issuer("https://issuer.example")
        .token_endpoint(format!("http://127.0.0.1:{}/token", server.port()))
        .scope("api://x|read")
        .authenticator(method)
        .clock(ManualClock::new())
        .environment(environment)
        .build()
        .unwrap()
}

/// What a client makes of these bytes, and how many connections that takes when it may try once.
async fn responds(bytes: impl Into<Vec<u8>>) -> (Result<Token, Error>, usize) {
    let server = RawServer::start(Manner::SaysBytes(bytes.into().leak())).await;
    let outcome = idaas(&server, ClientSecretPost::new(secret())).token().await;
    (outcome, server.connections())
}

fn with_length(head: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    [format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

#[tokio::test]
async fn a_token_is_read_from_whatever_http_1_holds_it() {
    let plain = |head: &str| with_length(head, BODY);
    let size = BODY.len();
    let utf16 = |mark: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("{mark}{BODY}").encode_utf16().flat_map(bytes).collect()
    };
    for (what, bytes) in [
        ("names in lower case", format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n{BODY}").into()),
        ("no reason", plain("HTTP/1.1 200\r\n")),
        ("line feeds alone", format!("HTTP/1.1 200 OK\nContent-Length: {size}\n\n{BODY}").into()),
        ("a folded field", plain("HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\n\td\r\n")),
        ("a blank before the colon", plain("HTTP/1.1 200 OK\r\nServer : x\r\n")),
        ("a line that is no field", plain("HTTP/1.1 200 OK\r\nno field at all\r\n")),
        ("200 fields", plain(&format!("HTTP/1.1 200 OK\r\n{}", "X-A: b\r\n".repeat(200)))),
        ("the length twice", plain(&format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n"))),
        ("201", plain("HTTP/1.1 201 Created\r\n")),
        (
            "the number of no error",
            with_length("HTTP/1.1 200 OK\r\n", BODY.replace('{', r#"{"error":0,"code":0,"message":"ok","#)),
        ),
        ("no errors", with_length("HTTP/1.1 200 OK\r\n", BODY.replace('{', r#"{"error":[],"#))),
        ("HTTP/1.0 without a length", format!("HTTP/1.0 200 OK\r\n\r\n{BODY}").into()),
        ("HTTP/1.0 that keeps the connection", plain("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n")),
        (
            "chunks with extensions and a trailer",
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n1;a=b;c=\"d\"\r\n{{\r\n{:X};last\r\n{}\r\n00\r\nX-A: b\r\n\r\n",
                size - 1,
                &BODY[1..]
            )
            .into(),
        ),
        (
            "interim responses",
            [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", &*plain("HTTP/1.1 200 OK\r\n")]
                .concat(),
        ),
        ("identity", plain("HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\n")),
        ("another content type", plain("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=gbk\r\n")),
        ("a mark and blanks", with_length("HTTP/1.1 200 OK\r\n", format!("\r\n\u{feff} \r\n{BODY}\r\n"))),
        ("UTF-16", with_length("HTTP/1.1 200 OK\r\n", utf16("\u{feff}", u16::to_le_bytes))),
        ("UTF-16 of the other order", with_length("HTTP/1.1 200 OK\r\n", utf16("\u{feff}", u16::to_be_bytes))),
        ("UTF-16 without a mark", with_length("HTTP/1.1 200 OK\r\n", utf16("", u16::to_le_bytes))),
    ] {
        let (outcome, connections) = responds(bytes).await;
        let token = outcome.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((token.expose_token(), connections), ("t", 1), "{what}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_named_after_one_request() {
    let head = "HTTP/1.1 200 OK\r\n";
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00";
    for (bytes, expected) in [
        (
            with_length("HTTP/1.1 200 OK\r\nContent-Encoding: x-gzip\r\n", gzip),
            "they are compressed (x-gzip)",
        ),
        (with_length(head, gzip), "they are compressed (gzip)"),
        (
            with_length("HTTP/1.1 200 OK\r\nContent-Encoding: deflate, br\r\n", b"\x0b"),
            "compressed (deflate)",
        ),
        (with_length(head, r#"{"access_token":"a","access_token":"b"}"#), "`access_token` twice"),
        (
            with_length(head, r#"{"access_token":"t","token_type":"N_A","issued_token_type":"urn:x"}"#),
            "`N_A`",
        ),
        (
            with_length("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", BODY),
            "sent something that is no HTTP/1 response",
        ),
        (b"HTTP/1.1 OK\r\n\r\n".to_vec(), "sent something that is no HTTP/1 response"),
        (b"HTTP/2.0 200 OK\r\n\r\n".to_vec(), "sent something that is no HTTP/1 response"),
        (b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64".to_vec(), "sent something that is no HTTP/1 response"),
        (
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{BODY}\r\n0\r\n\r\n").into(),
            "sent a body that is no HTTP/1",
        ),
        (
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{BODY}")
                .into(),
            "sent a body that is no HTTP/1",
        ),
    ] {
        let (outcome, connections) = responds(bytes).await;
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::InvalidResponse, false), "{error}");
        assert_eq!(connections, 1, "{error}");
    }
}

/// A status that allows no body has none, whatever follows it (RFC 9112 section 6.3).
#[tokio::test]
async fn a_204_with_a_body_holds_no_token() {
    let bytes = with_length("HTTP/1.1 204 No Content\r\nRetry-After: 9\r\n", BODY);
    let (outcome, _) = responds(bytes).await;
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("204 No Content and 0 bytes"), "{error}");
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_refused_and_nothing_goes_there() {
    let other = RawServer::start(Manner::Silent).await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Go", "308 Go", "300 Choose"] {
        let location = format!("Location: http://127.0.0.1:{}/token\r\n", other.port());
        let bytes = with_length(&format!("HTTP/1.1 {status}\r\n{location}"), BODY);
        let (outcome, connections) = responds(bytes).await;
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains("redirects of the token endpoint are refused"), "{error}");
        assert_eq!((error.is_transient(), connections, other.connections()), (false, 1, 0), "{error}");
    }
}

#[tokio::test]
async fn a_401_with_several_challenges_refuses_a_client_with_basic_credentials() {
    let head = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: Basic realm=\"a, b\", \
                Bearer error=\"invalid_token\"\r\n";
    let server = RawServer::start(Manner::SaysBytes(with_length(head, "<html>").leak())).await;
    let error = idaas(&server, ClientSecretBasic::new(secret())).token().await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("invalid_client")), "{error}");
    assert_eq!((error.is_transient(), server.connections()), (false, 1), "{error}");
}

#[tokio::test]
async fn a_pause_in_whatever_spelling_is_kept_and_of_several_the_longest() {
    for (fields, seconds) in [
        ("Retry-After: 7\r\n", 7),
        ("retry-after:7\r\n", 7),
        ("Retry-After: 1.5\r\n", 2),
        ("Retry-After: 7\r\nRetry-After: 60\r\n", 60),
        ("Retry-After: 60, 7\r\n", 60),
        ("Retry-After: 2 minutes\r\n", 120),
        ("Date: Tue, 24 Nov 2026 03:00:00 GMT\r\nRetry-After: Tue, 24 Nov 2026 03:00:10 GMT\r\n", 10),
        ("Date: Tue, 24 Nov 2026 03:00:00 UTC\r\nRetry-After: Tue, 24 Nov 2026 03:00:10 +0000\r\n", 10),
        ("Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n", 86_400),
    ] {
        let bytes = with_length(&format!("HTTP/1.1 503 Busy\r\n{fields}"), "<html>");
        let (outcome, connections) = responds(bytes).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(seconds)), "{fields}: {error}");
        assert_eq!(connections, 1, "{fields}");
    }
}

/// The variables of a job of GitHub Actions whose provider of tokens is this server.
fn of_a_job(server: &RawServer) -> ManualEnvironment {
    let url = format!("http://127.0.0.1:{}/token", server.port());
    ManualEnvironment::from_iter([
        ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t0ken"),
    ])
}

/// Methods whose credential comes from this server.
fn with_identity(server: &RawServer) -> [(&'static str, Oidc); 2] {
    let address = format!("http://127.0.0.1:{}", server.port());
    let azure = AzureIdentity::new("api://x").metadata_address(address);
    [
        ("Azure", Oidc::from_source("credential", azure)),
        ("GitHub", Oidc::from_source("credential", GithubActionsIdentity::new())),
    ]
}

#[tokio::test]
async fn a_source_of_identities_that_is_busy_gets_no_request_during_the_pause_that_it_sets() {
    let bytes: &[u8] = with_length("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n", "{}").leak();
    let server = RawServer::start(Manner::SaysBytes(bytes)).await;
    for (number, (what, method)) in with_identity(&server).into_iter().enumerate() {
        let idaas = idaas_with(&server, method, of_a_job(&server));
        for _ in 0..2 {
            let error = idaas.token().await.unwrap_err();
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true), "{error}");
            assert_eq!(error.retry_after(), Some(Duration::from_secs(7)), "{what}: {error}");
            assert_eq!(server.connections(), number + 1, "{what}: {error}");
        }
    }
}

#[tokio::test]
async fn an_identity_is_read_from_json_with_a_mark_before_it() {
    // The same for the source of the identity and for the token endpoint.
    let body = "\u{feff}\r\n{\"value\":\"a.b.c\",\"access_token\":\"t\",\"expires_in\":1200}";
    let server = RawServer::start(Manner::SaysBytes(with_length("HTTP/1.1 200 OK\r\n", body).leak())).await;
    for (what, method) in with_identity(&server) {
        let token = idaas_with(&server, method, of_a_job(&server)).token().await;
        assert_eq!(token.unwrap_or_else(|error| panic!("{what}: {error}")).expose_token(), "t");
    }
}

#[tokio::test]
async fn the_life_of_a_token_is_read_in_every_form() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let end = now + 1_200;
    for (fields, seconds) in [
        (r#""expires_in":1200"#.to_owned(), 1_200),
        (r#""expires_in":"1200""#.to_owned(), 1_200),
        (r#""expires_in":1200.0"#.to_owned(), 1_200),
        (r#""expires_in":"1.2e3""#.to_owned(), 1_200),
        (r#""expires_in":1e18"#.to_owned(), 86_400),
        (r#""expires_in":99999999999999999999999999"#.to_owned(), 86_400),
        (format!(r#""expires_in":1200,"expires_at":{}"#, now - 5_000), 1_200),
        (format!(r#""expires_at":{end}"#), 1_200),
        (format!(r#""expires_at":"{end}""#), 1_200),
        (format!(r#""expires_at":{end}000"#), 1_200),
        (format!(r#""expires_at":{end}000000"#), 1_200),
        (format!(r#""expires_at":{end}000000000"#), 1_200),
        (format!(r#""expires_in":null,"expires_at":{end}.5"#), 1_200),
    ] {
        let body = format!(r#"{{"access_token":"t",{fields}}}"#);
        let (outcome, _) = responds(with_length("HTTP/1.1 200 OK\r\n", body)).await;
        let token = outcome.unwrap_or_else(|error| panic!("{fields}: {error}"));
        let left = token.expires_at().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().abs_diff(now);
        assert!(left.abs_diff(seconds) <= 30, "{fields}: {left} s");
    }
}

#[tokio::test]
async fn a_response_counts_though_the_server_reads_nothing_of_the_request_and_resets_the_connection() {
    let refusal = with_length(
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n",
        r#"{"error":"invalid_request","error_description":"too long"}"#,
    );
    let server = RawServer::start(Manner::SaysUnasked(refusal.leak())).await;
    let idaas = idaas(&server, ClientSecretPost::new(secret()));
    for length in [10, 5_000, SubjectToken::MAX_LENGTH] {
        let subject = SubjectToken::access_token("x".repeat(length));
        let error = idaas.exchange(&subject).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Refused, Some("invalid_request")),
            "{length}: {error}"
        );
    }
    assert_eq!(server.connections(), 3);
}
