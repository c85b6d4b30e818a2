//! OIDC and PKCS7, the latter with the requests to the metadata service before it.
//!
//! On purpose: white space around an OIDC token, which the vendor's client sends as well, is not sent.

use std::path::Path;

use serde_json::json;

use super::capture::{Capture, Difference};
use super::client::{Log, builder, play};

const DEFAULT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

pub(crate) async fn check_oidc(mut capture: Capture) {
    if capture.name == "oidc_default_path" {
        assert_default_path(&capture);
        capture.authentication_mut()["oidcTokenFilePath"] = json!(DEFAULT_PATH);
    }
    let sent = play(&capture, |builder| builder).await;
    capture.assert_sent(sent, |_, _, theirs| {
        if capture.name == "oidc_trailing_newline" {
            let token = theirs.form.get_mut("client_assertion").unwrap();
            assert!(token.ends_with('\n'));
            *token = token.trim().to_owned();
            capture.differs(Difference::LineBreak);
        }
    });
}

/// The default path cannot be moved: it is seen in the complaint that nothing is there, and then given.
fn assert_default_path(capture: &Capture) {
    if !Path::new(DEFAULT_PATH).exists() {
        let builder = builder(capture, &Log::default()).config_file(capture.write_unmoved_config());
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains(&format!("token file {DEFAULT_PATH} does not exist")), "{error}");
    }
}

#[tokio::test]
async fn oidc_is_as_captured() {
    crate::conformance::check_all("OIDC").await;
}

#[cfg(feature = "transport")]
pub(crate) use metadata::check as check_pkcs7;

/// Without the built-in transport nothing asks the metadata service.
#[cfg(not(feature = "transport"))]
pub(crate) async fn check_pkcs7(capture: &Capture) {
    assert!(builder(capture, &Log::default()).build().is_err());
}

#[cfg(feature = "transport")]
pub(crate) mod metadata {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http::{Request, Response, Uri};
    use http_body_util::Full;
    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;

    use super::super::client::play_into;
    use super::super::sent::Sent;
    use super::{Capture, Log};

    /// Where the service is on a machine in the cloud; here its requests are recorded as sent there.
    const SERVICE: &str = "http://100.100.100.200";

    /// What the captured service gave out.
    pub(crate) const TOKEN: &str = "FAKE-ECS-METADATA-TOKEN==";

    pub(crate) async fn check(capture: &Capture) {
        let log = Log::default();
        let document = Sent::captured(&capture.requests()[2]).take("client_assertion");
        let address = service(log.clone(), move |path| match path {
            "/latest/api/token" => TOKEN.to_owned(),
            _ => document.clone(),
        })
        .await;
        let sent = play_into(&log, capture, |builder| builder.metadata_address(address)).await;
        capture.assert_sent(sent, |_, ours, theirs| {
            for query in [&mut ours.query, &mut theirs.query] {
                *query = decoded_without_time(query);
            }
        });
    }

    /// The signing time differs from run to run; the rest of the audience is compared as text.
    fn decoded_without_time(query: &str) -> String {
        let pairs = form_urlencoded::parse(query.as_bytes()).map(|(name, value)| {
            match value.split_once("\"signingTime\": ") {
                Some((before, time)) => {
                    assert!(time.strip_suffix('}').unwrap().parse::<u64>().is_ok(), "{value}");
                    format!("{name}={before}")
                }
                None => format!("{name}={value}"),
            }
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    /// A metadata service, or what passes for one, that says what the captured one said at each path.
    pub(crate) async fn service(
        log: Log,
        say: impl Fn(&str) -> String + Clone + Send + Sync + 'static,
    ) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (log, say) = (log.clone(), say.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (head, _) = request.into_parts();
                    let uri: Uri = format!("{SERVICE}{}", head.uri).parse().unwrap();
                    log.write(Sent::new(&head.method, &uri, &head.headers, b""));
                    let answer = say(uri.path());
                    async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(answer)))) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        address
    }

    #[tokio::test]
    async fn pkcs7_is_as_captured() {
        crate::conformance::check_all("PKCS7").await;
    }
}
