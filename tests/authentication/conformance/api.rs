//! Calls of the DeveloperAPI, and an exchange through the OpenAPI, as the vendor's API clients send them.
//!
//! These captures say what an API client sends, and not of the SDK with its configuration. Equal: method, path,
//! query, content type, bearer token, body. On purpose: the headers that the vendor's client adds and does not
//! sign (`date`, `x-acs-action`, `x-acs-version` and the nonce and signature headers) are not sent to the DeveloperAPI;
//! the exchange is signed over `host` and every `x-acs-` header, as in the module `plugin`, where a provider of the
//! access key is not sent either.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::service_fn;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{Idaas, IdaasBuilder, Scope, SubjectToken, TokenResponse, token::token_source_fn};

use super::capture::{Difference, text};

/// Every capture of an API client, and how ours differs on purpose.
pub(crate) const CASES: [(&str, Option<Difference>); 4] = [
    ("fetch_oauth_access_token", None),
    ("generate_oauth_token_exchange", Some(Difference::Plugin)),
    ("obtain_access_credential", None),
    ("obtain_credential", None),
];

type Log = Arc<Mutex<Vec<(Parts, Bytes)>>>;

/// The headers of the vendor's client that the DeveloperAPI does not need.
const UNSIGNED: [&str; 7] = [
    "date",
    "x-acs-action",
    "x-acs-signature-method",
    "x-acs-signature-nonce",
    "x-acs-signature-version",
    "x-acs-version",
    "accept",
];

fn load(name: &str) -> Value {
    serde_json::from_str(&text(&format!("api/{name}.json"))).unwrap()
}

fn given<'a>(capture: &'a Value, name: &str) -> &'a str {
    capture["given"][name].as_str().unwrap()
}

/// A client whose requests end in the log, and get this response.
fn builder(answer: Value, log: &Log) -> IdaasBuilder {
    let log = Arc::clone(log);
    let server = service_fn(move |request: Request<Full<Bytes>>| {
        let (log, answer) = (Arc::clone(&log), answer.to_string());
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            log.lock().unwrap().push((head, body));
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(answer))))
        }
    });
    Idaas::builder()
        .environment(ManualEnvironment::new())
        .instance_id("idaas_fakeinstance0001")
        .client_id("app_fakeclient0001")
        .scope("api.example.com|read:file")
        .transport(server)
}

/// With a DeveloperAPI, and the token of the captures.
fn developer(answer: Value, log: &Log) -> Idaas {
    builder(answer, log)
        .developer_api_endpoint("developer-api.example")
        .token_source(token_source_fn(|_: Scope| async { TokenResponse::bearer("fake-access-token-0001") }))
        .build()
        .unwrap()
}

fn captured(capture: &Value) -> &Value {
    let requests = capture["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 1);
    &requests[0]
}

/// Whether our one request is as captured; a body counts as the JSON that it is.
fn assert_sent(log: &Log, capture: &Value) {
    let log = log.lock().unwrap();
    let [(head, body)] = log.as_slice() else { panic!("{} requests", log.len()) };
    let theirs = captured(capture);
    assert_eq!(head.method.as_str(), theirs["method"]);
    assert_eq!(head.uri.path(), theirs["url_path"]);
    assert_eq!(head.uri.query().unwrap_or_default(), theirs["query"].as_str().unwrap());
    let json = |text: &[u8]| match text {
        b"" => Value::Null,
        text => serde_json::from_slice(text).unwrap(),
    };
    assert_eq!(json(body), json(theirs["body_raw"].as_str().unwrap().as_bytes()));
    for header in theirs["headers"].as_array().unwrap() {
        let [name, value] = [0, 1].map(|at| header[at].as_str().unwrap());
        match name.to_lowercase().as_str() {
            "host" => {}
            name if UNSIGNED.contains(&name) => {
                assert!(name == "accept" || !head.headers.contains_key(name), "{name}");
            }
            name => assert_eq!(head.headers[name], value, "{name}"),
        }
    }
    let names =
        theirs["headers"].as_array().unwrap().iter().map(|header| header[0].as_str().unwrap().to_lowercase());
    let names: Vec<String> = names.chain(["user-agent", "accept-encoding"].map(str::to_owned)).collect();
    for name in head.headers.keys() {
        assert!(names.iter().any(|known| known == name.as_str()), "{name} is not captured");
    }
}

#[tokio::test]
async fn credentials_of_a_role_are_requested_as_captured() {
    let capture = load("api_obtain_access_credential");
    let log = Log::default();
    let sts = json!({ "accessKeyId": "id", "accessKeySecret": "s", "securityToken": "t" });
    let answer = json!({ "cloudAccountRoleAccessCredential": { "alibabaCloudStsToken": sts } });
    let seconds = std::time::Duration::from_secs(capture["given"]["duration_seconds"].as_u64().unwrap());
    let role = developer(answer, &log).cloud_role(given(&capture, "cloud_account_role_external_id")).unwrap();
    role.with_session_duration(seconds).unwrap().credentials().await.unwrap();
    assert_sent(&log, &capture);
}

#[tokio::test]
async fn a_stored_credential_is_requested_as_captured() {
    let capture = load("api_obtain_credential");
    let log = Log::default();
    let answer = json!({ "status": "enabled", "credentialContent": { "apiKeyContent": { "apiKey": "k" } } });
    let key = developer(answer, &log).api_key(given(&capture, "credential_identifier")).unwrap();
    key.key_text().await.unwrap();
    assert_sent(&log, &capture);

    let log = Log::default();
    let client = json!({ "clientId": "i", "clientSecret": "s" });
    let answer = json!({ "status": "enabled", "credentialContent": { "oauthClientContent": client } });
    let client = developer(answer, &log).oauth_client(given(&capture, "credential_identifier")).unwrap();
    client.credentials().await.unwrap();
    assert_sent(&log, &capture);
}

#[tokio::test]
async fn a_token_of_a_third_party_is_requested_as_captured() {
    let capture = load("api_fetch_oauth_access_token");
    let log = Log::default();
    let answer = json!({ "oauthAccessTokenContent": { "accessTokenValue": "t", "tokenType": "bearer" } });
    let token =
        developer(answer, &log).oauth_token(given(&capture, "credential_provider_identifier")).unwrap();
    token.with_scope(given(&capture, "scope")).token().await.unwrap();
    assert_sent(&log, &capture);
}

#[tokio::test]
async fn an_exchange_through_the_openapi_is_requested_as_captured() {
    let capture = load("api_generate_oauth_token_exchange");
    let log = Log::default();
    let environment = ManualEnvironment::from_iter([
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", given(&capture, "access_key_id")),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", given(&capture, "access_key_secret")),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client-config.json");
    let config = json!({
        "idaasInstanceId": given(&capture, "instance_id"),
        "clientId": given(&capture, "application_id"),
        "issuer": "https://idaas.example/api/v2/iauths_system/oauth2",
        "tokenEndpoint": "https://idaas.example/oauth2/token",
        "scope": "api.example.com|read:file api.example.com|write",
        "openApiEndpoint": "openapi.example",
        "authnConfiguration": { "authnMethod": "PLUGIN", "pluginName": "alibabacloudPluginCredentialProvider" },
    });
    std::fs::write(&path, config.to_string()).unwrap();
    let token = json!({ "TokenType": "Bearer", "AccessToken": "t", "ExpiresIn": 3600 });
    let idaas = builder(json!({ "TokenResponse": token }), &log);
    let idaas = idaas.config_file(&path).environment(environment).build().unwrap();
    let subject = SubjectToken::new(
        given(&capture, "subject_token").to_owned(),
        given(&capture, "subject_token_type").to_owned(),
    )
    .with_requested_type(given(&capture, "requested_token_type").to_owned());
    let scope = "api.example.com|read:file api.example.com|write".parse().unwrap();
    idaas.exchange_for(&subject, &scope).await.unwrap();

    let log = log.lock().unwrap();
    let [(head, body)] = log.as_slice() else { panic!("{} requests", log.len()) };
    let theirs = captured(&capture);
    assert_eq!(head.method.as_str(), theirs["method"]);
    assert_eq!(head.uri.path(), theirs["url_path"]);
    assert_eq!(head.uri.query().unwrap(), theirs["query"].as_str().unwrap());
    assert!(body.is_empty());
    let header = |name: &str| {
        let mut all = theirs["headers"].as_array().unwrap().iter();
        all.find(|header| header[0] == name).unwrap()[1].as_str().unwrap().to_owned()
    };
    for name in ["accept", "x-acs-action", "x-acs-content-sha256", "x-acs-version"] {
        assert_eq!(head.headers[name], header(name), "{name}");
    }
    for name in ["x-acs-date", "x-acs-signature-nonce"] {
        assert_eq!(head.headers[name].len(), header(name).len(), "{name}");
    }
    assert!(!head.headers.contains_key("x-acs-credentials-provider"));
    let authorization = |text: &str| {
        let (start, signature) = text.rsplit_once(",Signature=").unwrap();
        (start.split_once(",SignedHeaders=").unwrap().0.to_owned(), signature.len())
    };
    let ours = head.headers["authorization"].to_str().unwrap();
    assert_eq!(authorization(ours), authorization(&header("Authorization")));
}

#[test]
fn every_capture_of_an_api_client_is_accounted_for() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/api");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, CASES.map(|(name, _)| format!("api_{name}.json")));
}
