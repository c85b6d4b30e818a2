//! Captured requests of the vendor's own client: ours, from the same configuration and variables, say the same.
//!
//! `golden/` holds one file per capture. A case that the vendor's client fails, or whose key is too weak to
//! use, gets here what a correct client does.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower_idaas::testing::ManualEnvironment;
use tower_idaas::{ConfigError, Idaas};

type Sent = Arc<Mutex<Vec<(http::request::Parts, Bytes)>>>;

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(golden().join(path)).unwrap()
}

fn case(name: &str) -> Value {
    serde_json::from_str(&text(&format!("{name}.json"))).unwrap()
}

/// The variable's value: written in the case, or in a file that it names.
fn variable(value: &Value) -> String {
    match value.get("from_file") {
        Some(path) => text(path.as_str().unwrap()),
        None => value.as_str().unwrap().to_owned(),
    }
}

/// A client of the case's configuration and variables, and what it sends.
fn client(case: &Value) -> (Result<Idaas, ConfigError>, Sent) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("client-config.json");
    std::fs::write(&path, case["config"].to_string()).unwrap();
    let variables = case["env"].as_object().unwrap();
    let variables = variables.iter().map(|(name, value)| (name.clone(), variable(value)));
    let sent = Sent::default();
    let log = Arc::clone(&sent);
    let transport = tower::service_fn(move |request: Request<Full<Bytes>>| {
        let log = Arc::clone(&log);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            log.lock().unwrap().push((head, body));
            let answer = json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 3600 });
            Ok::<_, std::io::Error>(Response::new(Full::new(Bytes::from(answer.to_string()))))
        }
    });
    let environment = ManualEnvironment::from_iter(variables);
    let builder = Idaas::builder().config_file(path).environment(environment).transport(transport);
    (builder.build(), sent)
}

/// The one request that the client sends.
async fn request(case: &Value) -> (http::request::Parts, BTreeMap<String, String>) {
    let (client, sent) = client(case);
    client.unwrap().warm().await.unwrap();
    let (head, body) = sent.lock().unwrap().pop().unwrap();
    assert!(sent.lock().unwrap().is_empty());
    let pairs: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let form: BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(form.len(), pairs.len(), "a field is repeated");
    (head, form)
}

fn captured_form(request: &Value) -> BTreeMap<String, String> {
    let pairs = request["form"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// Whether the captured and our own assertion say the same, and ours is signed with the case's credential.
fn assert_same_assertion(case: &Value, ours: &str, captured: &str) {
    let parts: Vec<&str> = ours.split('.').collect();
    let theirs: Vec<&str> = captured.split('.').collect();
    assert_eq!(decoded(parts[0]), decoded(theirs[0]));
    let (claims, captured) = (decoded(parts[1]), decoded(theirs[1]));
    let names = |claims: &Value| claims.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&claims), names(&captured));
    for name in ["iss", "sub", "aud"] {
        assert_eq!(claims[name], captured[name]);
    }
    assert_eq!(claims["jti"].as_str().unwrap().len(), captured["jti"].as_str().unwrap().len());
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert!((1..=600).contains(&life));
    assert_verifies(case, ours, &decoded(parts[0]));
}

fn assert_verifies(case: &Value, assertion: &str, header: &Value) {
    let (message, signature) = assertion.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    if header["alg"] == "HS256" {
        let secret = variable(&case["env"]["IDAAS_CLIENT_SECRET"]);
        // One line break at the end of a variable is an editor's, not the secret's.
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.strip_suffix('\n').unwrap_or(&secret).as_bytes());
        return hmac::verify(&key, message.as_bytes(), &signature).unwrap();
    }
    let private = case["env"]["ENV_PRIVATE_KEY"]["from_file"].as_str().unwrap();
    let public = text(&format!("{}.pub.pem", private.split('.').next().unwrap()));
    let public: String = public.lines().filter(|line| !line.starts_with('-')).collect();
    let algorithm: &dyn VerificationAlgorithm = match header["alg"].as_str().unwrap() {
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &RSA_PKCS1_2048_8192_SHA512,
        "ES256" => &ECDSA_P256_SHA256_FIXED,
        "ES384" => &ECDSA_P384_SHA384_FIXED,
        "ES512" => &ECDSA_P521_SHA512_FIXED,
        other => panic!("unexpected algorithm {other}"),
    };
    let key = UnparsedPublicKey::new(algorithm, STANDARD.decode(public).unwrap());
    key.verify(message.as_bytes(), &signature).unwrap();
}

/// Our request against the captured one, everything but the order of the fields.
async fn assert_same(name: &str, captured_in: &str) {
    let (case, captured) = (case(name), case(captured_in));
    let captured = &captured["requests"][0];
    let (head, mut form) = request(&case).await;
    assert_eq!(head.method.as_str(), captured["method"], "{name}");
    assert_eq!(head.uri.scheme_str(), captured["scheme"].as_str(), "{name}");
    assert_eq!(head.uri.host(), captured["host"].as_str(), "{name}");
    assert_eq!(head.uri.path(), captured["url_path"], "{name}");
    assert_eq!(head.uri.query().unwrap_or_default(), captured["query"], "{name}");
    assert_eq!(head.headers["content-type"], "application/x-www-form-urlencoded", "{name}");
    assert!(!head.headers.contains_key("authorization"), "{name}");
    let mut captured = captured_form(captured);
    let (ours, theirs) = (form.remove("client_assertion"), captured.remove("client_assertion"));
    assert_eq!(form, captured, "{name}");
    assert_same_assertion(&case, &ours.unwrap(), &theirs.unwrap());
}

const SECRET_JWT: [&str; 11] = [
    "client_secret_jwt",
    "endpoint_no_scheme",
    "endpoint_with_query",
    "special_secret_amp_eq_jwt",
    "special_secret_colon_jwt",
    "special_secret_leading_trailing_space_jwt",
    "special_secret_nonascii_jwt",
    "special_secret_percent_jwt",
    "special_secret_plus_space_jwt",
    "special_secret_tilde_star_jwt",
    // The vendor's client takes the line break for a part of the secret.
    "special_secret_trailing_newline_jwt",
];

#[tokio::test]
async fn the_11_cases_of_client_secret_jwt() {
    for name in SECRET_JWT {
        assert_same(name, name).await;
    }
}

const PRIVATE_KEY_JWT: [&str; 9] = [
    "private_key_jwt_rsa2048_pkcs8",
    "private_key_jwt_rsa3072_pkcs8",
    "private_key_jwt_rsa4096_pkcs8",
    "private_key_jwt_ec_p256_pkcs8",
    "private_key_jwt_ec_p256_sec1",
    "private_key_jwt_ec_p384_pkcs8",
    "private_key_jwt_ec_p384_sec1",
    "private_key_jwt_ec_p521_pkcs8",
    "private_key_jwt_ec_p521_sec1",
];

#[tokio::test]
async fn the_9_cases_of_private_key_jwt() {
    for name in PRIVATE_KEY_JWT {
        assert_same(name, name).await;
    }
}

/// The vendor's client refuses every key in PKCS#1; the same key in PKCS#8 shows what is right.
const PKCS1: [&str; 3] =
    ["private_key_jwt_rsa2048_pkcs1", "private_key_jwt_rsa3072_pkcs1", "private_key_jwt_rsa4096_pkcs1"];

#[tokio::test]
async fn the_3_cases_of_pkcs1_are_signed_as_their_pkcs8() {
    for name in PKCS1 {
        assert!(case(name)["requests"].as_array().unwrap().is_empty());
        assert_same(name, &name.replace("pkcs1", "pkcs8")).await;
    }
}

/// Too short to be safe, and more than the library that signs will do.
const WEAK: [&str; 2] = ["private_key_jwt_rsa1024_pkcs1", "private_key_jwt_rsa1024_pkcs8"];

#[test]
fn the_2_cases_of_a_weak_key_are_refused_when_loaded() {
    for name in WEAK {
        let (client, sent) = client(&case(name));
        let error = client.unwrap_err().to_string();
        assert!(
            error.contains("environment variable ENV_PRIVATE_KEY holds an RSA key of 1024 bits"),
            "{error}"
        );
        assert!(sent.lock().unwrap().is_empty());
    }
}

const PCA: [&str; 2] = ["pca_ec_p256", "pca_rsa2048"];

#[tokio::test]
async fn the_2_cases_of_pca() {
    for name in PCA {
        assert_same(name, name).await;
    }
}

#[test]
fn the_27_captures_of_signed_assertions_are_all_accounted_for() {
    let listed = [&SECRET_JWT[..], &PRIVATE_KEY_JWT, &PKCS1, &WEAK, &PCA].concat();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(golden()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = name.strip_suffix(".json") else { continue };
        let is_ours = name == "client_secret_jwt"
            || ["endpoint_no_scheme", "endpoint_with_query"].contains(&name)
            || name.starts_with("private_key_jwt_")
            || name.starts_with("pca_")
            || (name.starts_with("special_") && name.ends_with("_jwt"));
        if is_ours {
            found.push(name.to_owned());
        }
    }
    found.sort();
    let mut listed: Vec<String> = listed.into_iter().map(str::to_owned).collect();
    listed.sort();
    assert_eq!((found.len(), &found), (27, &listed));
}
