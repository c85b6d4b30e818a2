//! Token exchange on the wire: what the vendor's own client was seen to send with each method.
//!
//! Each capture holds a request for the client's own token, then the exchange. The one capture that is left
//! out is PLUGIN's, which the vendor's client refuses to exchange with.
#![cfg(feature = "transport")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower_idaas::testing::{ManualEnvironment, TestIdaas};
use tower_idaas::{Idaas, SubjectToken};

const MOUNT: &str = "/var/run/secrets";

const CASES: [&str; 8] = [
    "token_exchange_client_secret_basic",
    "token_exchange_client_secret_post",
    "token_exchange_client_secret_jwt",
    "token_exchange_private_key_jwt",
    "token_exchange_pca",
    "token_exchange_oidc",
    "token_exchange_pkcs7",
    "token_exchange_requested_jwt",
];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// A token request, reduced to what must be equal.
#[derive(Debug, PartialEq)]
struct Seen {
    target: String,
    content_type: String,
    authorization: Option<String>,
    form: BTreeMap<String, String>,
    /// Header and claims of an assertion that is a JWT, apart from what is new each time; the kind of any other.
    assertion: Value,
}

impl Seen {
    fn new(target: String, headers: &HeaderMap, mut form: BTreeMap<String, String>) -> Self {
        let header = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let is_attested =
            form.get("client_assertion_type").is_some_and(|kind| kind.ends_with("pkcs7-bearer"));
        let assertion = form.remove("client_assertion").map(|assertion| match is_attested {
            true => json!("a signed document"),
            false => claims(&assertion),
        });
        Self {
            target,
            content_type: header("content-type").unwrap(),
            authorization: header("authorization"),
            form,
            assertion: assertion.unwrap_or_default(),
        }
    }

    fn captured(request: &Value) -> Self {
        let pairs = |name: &str| -> Vec<(String, String)> {
            let pairs = request[name].as_array().unwrap().iter();
            pairs.map(|pair| (pair[0].as_str().unwrap().into(), pair[1].as_str().unwrap().into())).collect()
        };
        let part = |name: &str| request[name].as_str().unwrap();
        let headers = pairs("headers").into_iter();
        let headers: HeaderMap = headers
            .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
            .collect();
        let target = format!("{} {}://{}{}", part("method"), part("scheme"), part("host"), part("url_path"));
        Self::new(target, &headers, pairs("form").into_iter().collect())
    }

    fn ours(method: &http::Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Self {
        let form: BTreeMap<_, _> = form_urlencoded::parse(body).into_owned().collect();
        assert_eq!(form.len(), form_urlencoded::parse(body).count(), "a field is repeated");
        Self::new(format!("{method} {uri}"), headers, form)
    }
}

/// The signature is another one each time; that it verifies is proven for each method by itself.
fn claims(assertion: &str) -> Value {
    let parts: Vec<&str> = assertion.split('.').collect();
    let decoded =
        |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    let mut claims = decoded(parts[1]);
    for new_each_time in ["jti", "iat", "exp"] {
        claims.as_object_mut().unwrap().remove(new_each_time);
    }
    json!([decoded(parts[0]), claims])
}

async fn run(name: &str) {
    let case: Value =
        serde_json::from_slice(&std::fs::read(golden(&format!("{name}.json"))).unwrap()).unwrap();
    let mount = tempfile::tempdir().unwrap();
    let moved = |text: &str| text.replace(MOUNT, mount.path().to_str().unwrap());
    for (path, text) in case["files"].as_object().unwrap() {
        let path = PathBuf::from(moved(path));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.as_str().unwrap()).unwrap();
    }
    let variables = case["env"].as_object().unwrap().iter().map(|(name, value)| {
        let file = value["from_file"].as_str().map(|file| std::fs::read_to_string(golden(file)).unwrap());
        (name.clone(), file.unwrap_or_else(|| moved(value.as_str().unwrap())))
    });
    let config = mount.path().join("client-config.json");
    std::fs::write(&config, moved(&case["config"].to_string())).unwrap();

    let sent = Arc::<Mutex<Vec<Seen>>>::default();
    let log = Arc::clone(&sent);
    let transport = tower::service_fn(move |request: Request<Full<Bytes>>| {
        let log = Arc::clone(&log);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            log.lock().unwrap().push(Seen::ours(&head.method, &head.uri, &head.headers, &body));
            let answer = json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 3600 });
            Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(answer.to_string()))))
        }
    });
    // For the documents of PKCS7; nothing else asks it.
    let metadata = TestIdaas::start().await.unwrap().start_metadata_service().await.unwrap();
    let idaas = Idaas::builder()
        .config_file(config)
        .environment(ManualEnvironment::from_iter(variables))
        .metadata_address(metadata.address())
        .transport(transport)
        .build()
        .unwrap_or_else(|error| panic!("{name}: {error:#}"));
    let mut exchanges = 0;
    for action in case["actions"].as_array().unwrap() {
        let argument = |index: usize| action[index].as_str().map(str::to_owned);
        if argument(0).unwrap() == "init" {
            // The vendor's client fetches a token of its own when it starts.
            drop(idaas.token().await.unwrap());
            continue;
        }
        let mut subject = SubjectToken::new(argument(1).unwrap(), argument(2).unwrap());
        if let Some(requested) = argument(3) {
            subject = subject.with_requested_type(requested);
        }
        drop(idaas.exchange(&subject).await.unwrap());
        exchanges += 1;
    }
    let is_token_request = |request: &&Value| request["host"] == "tenant.example.com";
    let captured = case["requests"].as_array().unwrap().iter().filter(is_token_request);
    let mut captured: Vec<Seen> = captured.map(Seen::captured).collect();
    if exchanges == 2 {
        // The vendor's client sends the same exchange a second time; ours has it in the cache.
        let (second, first) = (captured.pop().unwrap(), captured.last().unwrap());
        assert_eq!(&second, first, "{name}");
    }
    assert_eq!(*sent.lock().unwrap(), captured, "{name}");
}

#[tokio::test]
async fn the_8_cases_of_token_exchange_are_ours() {
    for name in CASES {
        run(name).await;
    }
}

#[test]
fn the_8_captures_are_all_there_are() {
    let files =
        std::fs::read_dir(golden("")).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<String> = files.filter(|name| name.starts_with("token_exchange_")).collect();
    found.sort();
    let mut listed = CASES.map(|name| format!("{name}.json"));
    listed.sort();
    assert_eq!(found, listed);
}
