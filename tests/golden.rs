//! Our token requests equal those that the vendor's own client was seen to send, from the same configuration.
//!
//! The captures are in `tests/golden`, one file per case. Where we differ on purpose, `assert_sent` says so.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower::service_fn;
use tower_idaas::testing::ManualEnvironment;
use tower_idaas::{Idaas, Scope};

const CASES: usize = 25;

/// One request that the vendor's client sent.
struct Captured<'a>(&'a Value);

/// One of our requests, in the captures' terms.
#[derive(Debug)]
struct Sent {
    target: [String; 5],
    content_type: String,
    form: Vec<(String, String)>,
    authorization: Option<String>,
}

impl Sent {
    async fn new(request: Request<Full<Bytes>>) -> Self {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let uri = &head.uri;
        let header = |name| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let mut form: Vec<_> = form_urlencoded::parse(&body).into_owned().collect();
        form.sort();
        Self {
            target: [
                head.method.to_string(),
                uri.scheme_str().unwrap().to_owned(),
                uri.authority().unwrap().to_string(),
                uri.path().to_owned(),
                uri.query().unwrap_or_default().to_owned(),
            ],
            content_type: header(CONTENT_TYPE).unwrap(),
            form,
            authorization: header(AUTHORIZATION),
        }
    }
}

impl Captured<'_> {
    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("no `{name}` in the capture"))
    }

    fn pairs(&self, name: &str) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let pairs = self.0[name].as_array().unwrap().iter();
        pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
    }

    fn header(&self, name: &str) -> Option<String> {
        let mut headers = self.pairs("headers").into_iter();
        headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Compares, but for what differs on purpose: one line break at a secret's end is not part of it.
    fn assert_sent(&self, sent: &Sent, raw: bool, case: &str) {
        let target = ["method", "scheme", "host", "url_path", "query"].map(|part| self.text(part));
        assert_eq!(sent.target.each_ref(), target, "{case}");
        assert_eq!(Some(&sent.content_type), self.header("content-type").as_ref(), "{case}");

        let mut form = self.pairs("form");
        for (name, value) in &mut form {
            if name == "client_secret" {
                trim_line_break(value);
            }
        }
        form.sort();
        assert_eq!(sent.form, form, "{case}");

        let Some(captured) = self.header("authorization") else {
            return assert_eq!(sent.authorization, None, "{case}");
        };
        let by_rfc = self.text("rfc6749_2_3_1_authorization");
        let sent = credentials(sent.authorization.as_deref().unwrap());
        if raw {
            let mut expected = credentials(&captured);
            trim_line_break(&mut expected);
            assert_eq!(sent, expected, "{case}");
        } else {
            // Which characters are encoded is the encoder's habit (`~` and `*`); what they decode to is not.
            let by_rfc = credentials(by_rfc);
            let mut expected = decoded_pair(&by_rfc);
            trim_line_break(&mut expected.1);
            assert_eq!(decoded_pair(&sent), expected, "{case}");
            assert!(
                sent.matches(':').count() == 1 && !sent.contains(' ') && sent.is_ascii(),
                "{case}: {sent}"
            );
            if self.0["same_as_rfc6749_2_3_1"] == true {
                assert_eq!((&sent, credentials(&captured)), (&by_rfc, by_rfc.clone()), "{case}");
            }
        }
    }
}

fn trim_line_break(secret: &mut String) {
    if let Some(trimmed) = secret.strip_suffix('\n') {
        secret.truncate(trimmed.len());
    }
}

/// What an `Authorization: Basic` header carries.
fn credentials(header: &str) -> String {
    let encoded = header.strip_prefix("Basic ").unwrap();
    String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
}

/// Client id and secret, each form-encoded by itself (RFC 6749 section 2.3.1).
fn decoded_pair(credentials: &str) -> (String, String) {
    let decode = |text: &str| {
        let pairs = form_urlencoded::parse(text.as_bytes()).next();
        pairs.map(|(text, _)| text.into_owned()).unwrap_or_default()
    };
    let (id, secret) = credentials.split_once(':').unwrap();
    (decode(id), decode(secret))
}

/// Does with our client what was done with the vendor's, and compares all requests in their order.
async fn run_case(path: &Path) {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let case: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let environment = ManualEnvironment::new();
    for (variable, value) in case["env"].as_object().unwrap() {
        let text = match value["from_file"].as_str() {
            Some(file) => std::fs::read_to_string(path.with_file_name(file)).unwrap(),
            None => value.as_str().unwrap().to_owned(),
        };
        environment.set(variable, text);
    }
    let is_basic = case["config"]["authnConfiguration"]["authnMethod"] == "CLIENT_SECRET_BASIC";
    let manners: &[bool] = if is_basic { &[false, true] } else { &[false] };
    for raw in manners {
        run(&name, &case, environment.clone(), *raw).await;
    }
}

async fn run(name: &str, case: &Value, environment: ManualEnvironment, raw: bool) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client-config.json");
    std::fs::write(&file, case["config"].to_string()).unwrap();

    let sent = Arc::<Mutex<Vec<Sent>>>::default();
    let log = Arc::clone(&sent);
    let builder = Idaas::builder().config_file(file).environment(environment).transport(service_fn(
        move |request: Request<Full<Bytes>>| {
            let log = Arc::clone(&log);
            async move {
                let request = Sent::new(request).await;
                log.lock().unwrap().push(request);
                let answer = r#"{"token_type":"Bearer","access_token":"dummy","expires_in":3600}"#;
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(answer)))
            }
        },
    ));
    let builder = if raw { builder.raw_basic_credentials() } else { builder };
    let idaas = builder.build().unwrap_or_else(|error| panic!("{name}: {error:#}"));
    for action in case["actions"].as_array().unwrap() {
        let argument = |index: usize| action[index].as_str().unwrap();
        match argument(0) {
            // The vendor's client fetches a token when it starts; ours when it needs one.
            "init" => {}
            "get" => drop(idaas.token().await.unwrap()),
            "get_scope" => {
                let scope: Scope = argument(1).parse().unwrap();
                drop(idaas.token_for(&scope).await.unwrap());
            }
            other => panic!("{name}: the harness does not know `{other}`"),
        }
    }
    let sent = sent.lock().unwrap();
    let captured = case["requests"].as_array().unwrap();
    assert_eq!(sent.len(), captured.len(), "{name}");
    for (sent, captured) in sent.iter().zip(captured) {
        Captured(captured).assert_sent(sent, raw, name);
    }
}

#[tokio::test]
async fn the_25_cases_of_client_secrets_are_ours() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    // The captures of the other methods, and of token exchange, have tests of their own.
    let is_mine = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy();
        let secret = ["_basic", "_post", "_upgraded"].iter().any(|end| name.ends_with(end));
        path.extension().is_some_and(|e| e == "json") && secret && !name.starts_with("token_exchange_")
    };
    let mut cases: Vec<PathBuf> = entries.filter(is_mine).collect();
    cases.sort();
    assert_eq!(cases.len(), CASES);
    for case in &cases {
        run_case(case).await;
    }
}
