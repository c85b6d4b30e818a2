//! OIDC and PKCS7 on the wire: what the vendor's own client was seen to send, case by case.
//!
//! The cases in `golden/` are captures. Each is run with its own configuration, variables and files, the
//! latter under a temporary directory; every request must equal the captured one in method, path, decoded
//! query, content type and decoded form.
#![cfg(feature = "transport")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tower_idaas::testing::ManualEnvironment;
use tower_idaas::{Idaas, IdaasBuilder};

const MOUNT: &str = "/var/run/secrets";
const DEFAULT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// A request, reduced to what must be equal.
#[derive(Debug, PartialEq)]
struct Seen {
    method: String,
    path: String,
    query: BTreeSet<(String, String)>,
    content_type: Option<String>,
    form: BTreeSet<(String, String)>,
    /// Of the metadata service's own headers.
    headers: BTreeSet<(String, String)>,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Seen>>>);

impl Log {
    fn write(&self, method: &Method, uri: &http::Uri, headers: &HeaderMap, body: &[u8]) {
        let pairs = |bytes: &[u8]| -> BTreeSet<_> { form_urlencoded::parse(bytes).into_owned().collect() };
        let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
        let fields = form_urlencoded::parse(body).count();
        let form = pairs(body);
        assert_eq!(form.len(), fields, "a field is repeated");
        self.0.lock().unwrap().push(Seen {
            method: method.to_string(),
            path: uri.path().to_owned(),
            query: pairs(uri.query().unwrap_or_default().as_bytes()),
            content_type: headers.get("content-type").map(text),
            form,
            headers: headers
                .iter()
                .filter(|(name, _)| name.as_str().starts_with("x-"))
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
        });
    }
}

/// What the capture holds, as `Seen`.
fn captured(request: &Value) -> Seen {
    let pairs = |pairs: &Value| -> BTreeSet<_> {
        let pair = |pair: &Value| (pair[0].as_str().unwrap().into(), pair[1].as_str().unwrap().into());
        pairs.as_array().unwrap().iter().map(pair).collect()
    };
    let headers: Vec<(String, String)> = pairs(&request["headers"])
        .into_iter()
        .map(|(name, value): (String, _)| (name.to_lowercase(), value))
        .collect();
    Seen {
        method: request["method"].as_str().unwrap().into(),
        path: request["url_path"].as_str().unwrap().into(),
        query: pairs(&request["query_pairs"]),
        content_type: headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.clone()),
        form: pairs(&request["form"]),
        headers: headers.into_iter().filter(|(name, _)| name.starts_with("x-")).collect(),
    }
}

/// The signing time differs from run to run; the rest of the audience is compared as text.
fn without_time(mut seen: Seen) -> Seen {
    seen.query = seen
        .query
        .into_iter()
        .map(|(name, value)| match value.split_once("\"signingTime\": ") {
            Some((before, time)) => {
                assert!(time.strip_suffix('}').unwrap().parse::<u64>().is_ok(), "{value}");
                (name, before.to_owned())
            }
            None => (name, value),
        })
        .collect();
    seen
}

struct Case {
    name: String,
    captured: Value,
    mount: tempfile::TempDir,
}

impl Case {
    fn load(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.json"));
        let captured: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let case = Self { name: name.to_owned(), captured, mount: tempfile::tempdir().unwrap() };
        for (path, text) in case.captured["files"].as_object().unwrap() {
            let path = case.moved(path);
            std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
            std::fs::write(path, text.as_str().unwrap()).unwrap();
        }
        case
    }

    /// The path under the temporary directory.
    fn moved(&self, text: &str) -> String {
        text.replace(MOUNT, self.mount.path().to_str().unwrap())
    }

    fn builder(&self, config: &Value) -> IdaasBuilder {
        let path = self.mount.path().join("client-config.json");
        std::fs::write(&path, self.moved(&config.to_string())).unwrap();
        let variables = self.captured["env"].as_object().unwrap().iter();
        let variables = variables.map(|(name, value)| (name.clone(), self.moved(value.as_str().unwrap())));
        Idaas::builder().config_file(path).environment(ManualEnvironment::from_iter(variables))
    }

    fn requests(&self) -> Vec<Seen> {
        let mut requests: Vec<Seen> =
            self.captured["requests"].as_array().unwrap().iter().map(captured).collect();
        if self.name == "oidc_trailing_newline" {
            // The peer sends the newline too; a correct client does not.
            let trim = |(name, value): (String, String)| (name, value.trim().to_owned());
            requests.iter_mut().for_each(|seen| {
                seen.form = std::mem::take(&mut seen.form).into_iter().map(trim).collect();
            });
        }
        requests
    }

    /// Gets a token as the case did; what was sent.
    async fn run(&self, builder: IdaasBuilder, log: &Log) {
        let sent = log.clone();
        let token_endpoint = tower::service_fn(move |request: Request<Full<Bytes>>| {
            let log = sent.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                assert_eq!(head.uri.scheme_str(), Some("https"));
                assert_eq!(head.uri.host(), Some("tenant.example.com"));
                log.write(&head.method, &head.uri, &head.headers, &body);
                let answer = json!({ "token_type": "Bearer", "access_token": "dummy-access-token-1", "expires_in": 3600 });
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(answer.to_string()))))
            }
        });
        let idaas = builder.transport(token_endpoint).build().unwrap();
        assert_eq!(idaas.token().await.unwrap().expose_token(), "dummy-access-token-1");
        let seen: Vec<Seen> = std::mem::take(&mut *log.0.lock().unwrap());
        let seen: Vec<Seen> = seen.into_iter().map(without_time).collect();
        let expected: Vec<Seen> = self.requests().into_iter().map(without_time).collect();
        assert_eq!(seen, expected, "{}", self.name);
    }
}

/// A metadata service that says what the captured one said.
async fn metadata_service(log: Log, document: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (log, document) = (log.clone(), document.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let (head, _) = request.into_parts();
                log.write(&head.method, &head.uri, &head.headers, b"");
                let answer = match head.uri.path() {
                    "/latest/api/token" => "FAKE-ECS-METADATA-TOKEN==".to_owned(),
                    _ => document.clone(),
                };
                async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(answer)))) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

#[tokio::test]
async fn all_five_oidc_cases_are_equal() {
    for name in ["oidc_file_path", "oidc_env_path", "oidc_both_paths", "oidc_trailing_newline"] {
        let case = Case::load(name);
        case.run(case.builder(&case.captured["config"]), &Log::default()).await;
    }
    // The default path cannot be moved: it is seen in the complaint that nothing is there, and then given.
    let case = Case::load("oidc_default_path");
    let mut config = case.captured["config"].clone();
    if !Path::new(DEFAULT_PATH).exists() {
        let idaas = case.builder(&json!(null)).config_file(write_unmoved(&case, &config)).build();
        let error = idaas.unwrap_err().to_string();
        assert!(error.contains(&format!("token file {DEFAULT_PATH} does not exist")), "{error}");
    }
    config["authnConfiguration"]["oidcTokenFilePath"] = json!(DEFAULT_PATH);
    case.run(case.builder(&config), &Log::default()).await;
}

fn write_unmoved(case: &Case, config: &Value) -> std::path::PathBuf {
    let path = case.mount.path().join("unmoved.json");
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

#[tokio::test]
async fn the_one_pkcs7_case_is_equal() {
    let case = Case::load("pkcs7_ecs");
    let log = Log::default();
    let form = captured(&case.captured["requests"][2]).form;
    let (_, document) = form.into_iter().find(|(name, _)| name == "client_assertion").unwrap();
    let address = metadata_service(log.clone(), document).await;
    case.run(case.builder(&case.captured["config"]).metadata_address(address), &log).await;
}
