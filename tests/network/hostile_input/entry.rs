//! Where input of others enters, by way of the public API: each function takes bytes of any kind and panics
//! when what must hold does not. The tests call them with inputs by chance, and `fuzz/` for as long as one likes.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, HeaderName, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tower_idaas::authn::{ClientSecretPost, Pca, PrivateKeyJwt};
use tower_idaas::clock::ManualClock;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{ConfigError, Idaas, IdaasBuilder, SecretSource};

/// No name of a variable and no path, so that it can be nothing but a secret.
pub const SECRET: &str = "s3cr+t-hunter2==";
/// Stands for the secret in an input: no chance would find that.
const PLACEHOLDER: &[u8] = b"$S";

/// No input of this size is worth so much time, on the slowest machine.
const LONGEST: Duration = Duration::from_secs(10);

/// Ends the test when it is dropped too late.
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

/// Real time would pass in the pauses between attempts.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
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

/// Answers every request alike, and counts them.
#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    asked: Arc<AtomicUsize>,
}

impl Answer {
    fn new(status: StatusCode, headers: HeaderMap, body: Vec<u8>) -> Self {
        Self { status, headers, body: body.into(), asked: Arc::default() }
    }

    fn give_to(&self, builder: IdaasBuilder) -> IdaasBuilder {
        let answer = self.clone();
        builder.transport(tower::service_fn(move |_| {
            answer.asked.fetch_add(1, Ordering::Relaxed);
            let mut response = Response::new(Full::new(answer.body.clone()));
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers.clone();
            std::future::ready(Ok::<_, Infallible>(response))
        }))
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn good_answer() -> Answer {
    let body = json!({ "access_token": "token", "token_type": "Bearer", "expires_in": 1200 });
    Answer::new(StatusCode::OK, HeaderMap::new(), body.to_string().into_bytes())
}

/// A real key, and the certificate for it.
pub const KEY: &str = include_str!("../../golden/keys/ec_p256.pkcs8.pem");
pub const CERTIFICATE: &str = include_str!("../../golden/keys/pca_leaf_ec_p256.cert.pem");

/// Every key, and the method that reads it.
const KEYS: [(&str, &str); 22] = [
    ("/idaasInstanceId", "PRIVATE_KEY_JWT"),
    ("/clientId", "PRIVATE_KEY_JWT"),
    ("/issuer", "PRIVATE_KEY_JWT"),
    ("/tokenEndpoint", "PRIVATE_KEY_JWT"),
    ("/scope", "PRIVATE_KEY_JWT"),
    ("/openApiEndpoint", "PLUGIN"),
    ("/developerApiEndpoint", "PRIVATE_KEY_JWT"),
    ("/deviceAuthorizationEndpoint", "PRIVATE_KEY_JWT"),
    ("/authnConfiguration/identityType", "PRIVATE_KEY_JWT"),
    ("/authnConfiguration/authnMethod", ""),
    ("/authnConfiguration/clientSecretEnvVarName", "CLIENT_SECRET_POST"),
    ("/authnConfiguration/privateKeyEnvVarName", "PRIVATE_KEY_JWT"),
    ("/authnConfiguration/applicationFederatedCredentialName", "PCA"),
    ("/authnConfiguration/clientDeployEnvironment", "PKCS7"),
    ("/authnConfiguration/oidcTokenFilePath", "OIDC"),
    ("/authnConfiguration/oidcTokenFilePathEnvVarName", "OIDC"),
    ("/authnConfiguration/clientX509Certificate", "PCA"),
    ("/authnConfiguration/x509CertChains", "PCA"),
    ("/authnConfiguration/pluginName", "PLUGIN"),
    ("/httpConfiguration/connectTimeout", "PRIVATE_KEY_JWT"),
    ("/httpConfiguration/readTimeout", "PRIVATE_KEY_JWT"),
    ("/httpConfiguration/unsafeIgnoreSslCert", "PRIVATE_KEY_JWT"),
];

/// A whole configuration, with this as one of its values.
fn configuration_with((pointer, method): (&str, &str), value: &str) -> String {
    let mut config = json!({
        "idaasInstanceId": "idaas_1",
        "clientId": "app_1",
        "issuer": "https://tenant.example.com",
        "tokenEndpoint": "https://tenant.example.com/token",
        "scope": "api://a|read",
        "openApiEndpoint": "eiam.cn-hangzhou.aliyuncs.com",
        "developerApiEndpoint": "",
        "deviceAuthorizationEndpoint": "",
        "authnConfiguration": {
            "identityType": "CLIENT",
            "authnMethod": method,
            "clientSecretEnvVarName": "APP_SECRET",
            "privateKeyEnvVarName": "KEY",
            "applicationFederatedCredentialName": "credential",
            "clientDeployEnvironment": if method == "OIDC" { "KUBERNETES" } else { "ALIBABA_CLOUD_ECS" },
            "oidcTokenFilePath": null,
            "oidcTokenFilePathEnvVarName": null,
            "clientX509Certificate": CERTIFICATE,
            "x509CertChains": null,
            "pluginName": "alibabacloudPluginCredentialProvider",
        },
        "httpConfiguration": { "connectTimeout": 5000, "readTimeout": 10000, "unsafeIgnoreSslCert": false },
    });
    *config.pointer_mut(pointer).unwrap() = Value::from(value);
    config.to_string()
}

/// A client from the text of a file.
pub fn client_of(text: impl Into<String>) -> Result<Idaas, ConfigError> {
    let environment = ManualEnvironment::from_iter([("APP_SECRET", SECRET), ("KEY", KEY)]);
    good_answer().give_to(Idaas::builder().config_text(text.into()).environment(environment)).build()
}

fn assert_readable(error: &ConfigError) {
    assert!(!error.faults().is_empty());
    let longest = error.faults().iter().map(|fault| fault.to_string().len()).max();
    assert!(longest < Some(2_000), "a fault of {longest:?} bytes");
}

/// The text of a configuration file; and as the value of each key, by itself and behind a secret that stands
/// where it does not belong.
pub fn configuration(input: &[u8]) {
    let _watch = Watch::start();
    let text = String::from_utf8_lossy(input).into_owned();
    let misplaced = format!("{SECRET}{text}");
    client_of(text.as_str()).inspect_err(assert_readable).ok();
    for key in KEYS {
        client_of(configuration_with(key, &text)).inspect_err(assert_readable).ok();
        if let Err(error) = client_of(configuration_with(key, &misplaced)) {
            assert_readable(&error);
            assert_hidden(&shown(&error), input);
        }
    }
}

/// The value of a variable that the built-in client reads, or that leads to the configuration or a token: by
/// itself, and behind a secret that stands where it does not belong.
pub fn variable(input: &[u8]) {
    let _watch = Watch::start();
    let text = String::from_utf8_lossy(input).into_owned();
    let authority = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find_map(|folder| {
        let path = folder.join("tests/golden/keys/pca_root.cert.pem");
        path.exists().then_some(path)
    });
    let build = |variable: &str, value: &str| {
        let environment = ManualEnvironment::from_iter([("APP_SECRET", SECRET), ("KEY", KEY)]);
        environment.set("SSL_CERT_FILE", authority.as_ref().unwrap());
        environment.set(variable, value);
        let builder = match variable {
            "CLOUD_IDAAS_CONFIG_PATH" => Idaas::builder().config_from_env(),
            "TOKEN_FILE" => Idaas::builder().config_text(configuration_with(
                ("/authnConfiguration/oidcTokenFilePathEnvVarName", "OIDC"),
                variable,
            )),
            _ => client().authenticator(ClientSecretPost::new(SecretSource::variable("APP_SECRET"))),
        };
        builder.environment(environment).build()
    };
    for name in
        ["HTTPS_PROXY", "all_proxy", "NO_PROXY", "SSL_CERT_FILE", "CLOUD_IDAAS_CONFIG_PATH", "TOKEN_FILE"]
    {
        build(name, &text).inspect_err(assert_readable).ok();
        if let Err(error) = build(name, &format!("{SECRET}{text}")) {
            assert_readable(&error);
            assert_hidden(&shown(&error), input);
        }
    }
}

/// A client of PCA.
pub fn client_with(certificates: &str, key: &str) -> Result<Idaas, ConfigError> {
    let source = |text: &str| SecretSource::value(text.to_owned());
    good_answer()
        .give_to(client().authenticator(Pca::new("credential", source(certificates), source(key))))
        .build()
}

/// The PEM text of a key, and of certificates with their key, parted by a zero byte: refused without being
/// shown, or it signs.
pub fn key_and_certificate(input: &[u8]) {
    let _watch = Watch::start();
    let text = String::from_utf8_lossy(input).into_owned();
    let (certificates, key) = text.split_once('\0').unwrap_or((CERTIFICATE, &text));
    let of_key = client().authenticator(PrivateKeyJwt::new(SecretSource::value(key.to_owned())));
    for built in [good_answer().give_to(of_key).build(), client_with(certificates, key)] {
        match built {
            Ok(idaas) => drop(runtime().block_on(idaas.token()).unwrap()),
            Err(error) => {
                let shown = shown(&error);
                let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
                for line in text.lines().filter(|line| line.len() >= 40 && line.bytes().all(is_base64)) {
                    assert!(!shown.contains(&line[..40]), "{shown}");
                }
            }
        }
    }
}

/// An answer of the token endpoint: the first byte chooses its status, the rest is the body.
pub fn token_answer(input: &[u8]) {
    let (first, body) = input.split_first().unwrap_or((&0, &[]));
    let status = [200, 200, 200, 201, 302, 400, 401, 403, 429, 500, 503][usize::from(*first) % 11];
    judge(StatusCode::from_u16(status).unwrap(), HeaderMap::new(), body, input);
}

/// The headers of an answer: the first byte chooses its status, the values are parted by zero bytes.
pub fn answer_headers(input: &[u8]) {
    let (first, values) = input.split_first().unwrap_or((&0, &[]));
    let status = [429, 503, 400, 200, 302, 500][usize::from(*first) % 6];
    let names =
        [RETRY_AFTER, DATE, HeaderName::from_static("x-acs-request-id"), CONTENT_TYPE, LOCATION, RETRY_AFTER];
    let mut headers = HeaderMap::new();
    for (name, value) in names.into_iter().zip(values.split(|byte| *byte == 0)) {
        // What no HTTP client lets through is no case.
        if let Ok(value) = HeaderValue::from_bytes(&with_secret(value)) {
            headers.append(name, value);
        }
    }
    let body = br#"{"error": "slow_down", "access_token": "token", "expires_in": 60}"#;
    judge(StatusCode::from_u16(status).unwrap(), headers, body, input);
}

/// What holds whatever the answer is: the error shows no secret and stays readable, the token fits a header,
/// and after five minutes the issuer is asked again.
fn judge(status: StatusCode, headers: HeaderMap, body: &[u8], input: &[u8]) {
    let _watch = Watch::start();
    let answer = Answer::new(status, headers, with_secret(body));
    let clock = ManualClock::new();
    let builder = client()
        .clock(clock.clone())
        .authenticator(ClientSecretPost::new(SecretSource::value(SECRET.to_owned())));
    let idaas = answer.give_to(builder).build().unwrap();
    runtime().block_on(async {
        match idaas.token().await {
            Ok(token) => {
                assert!(status.is_success());
                let visible = token.expose_token().bytes().all(|byte| byte.is_ascii_graphic());
                assert!(visible && !token.expose_token().is_empty());
            }
            Err(error) => {
                assert_hidden(&shown(&error), input);
                let text = error.to_string();
                assert!(!text.contains(char::is_control) && text.len() < 2_000, "{text:?}");
                let before = answer.asked();
                clock.advance(Duration::from_secs(5 * 60));
                let _ = idaas.token().await;
                assert!(answer.asked() > before, "no token request after five minutes: {error}");
            }
        }
    });
}

fn with_secret(bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut rest = bytes;
    while let Some(place) = rest.windows(PLACEHOLDER.len()).position(|window| window == PLACEHOLDER) {
        whole.extend_from_slice(&rest[..place]);
        whole.extend_from_slice(SECRET.as_bytes());
        rest = &rest[place + PLACEHOLDER.len()..];
    }
    whole.extend_from_slice(rest);
    whole
}
