//! CLIENT_SECRET_JWT, PRIVATE_KEY_JWT and PCA: everything is equal but the id, the times and so the signature
//! of an assertion, which is new in each request; the signature is verified with the case's credential.
//!
//! On purpose: one line break at a secret's end is no part of the key; keys in PKCS#1, all of which the
//! vendor's client refuses, are signed with as their PKCS#8 form is; and RSA keys of 1024 bits, which it
//! takes, are refused when the client is built.

use std::collections::HashSet;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::capture::{Capture, Difference, text};
use super::client::{Log, builder, play};

pub(crate) async fn check(mut capture: Capture) {
    if capture.name.starts_with("private_key_jwt_rsa1024_") {
        return assert_weak_key_is_refused(&capture);
    }
    if capture.name.ends_with("_pkcs1") {
        capture.differs(Difference::Pkcs1Key);
        capture.expect_as_in(Capture::load(&capture.name.replace("_pkcs1", "_pkcs8")));
    }
    let sent = play(&capture, |builder| builder).await;
    let mut ids = HashSet::new();
    capture.assert_sent(sent, |_, ours, theirs| {
        let (ours, theirs) = (ours.take("client_assertion"), theirs.take("client_assertion"));
        let id = assert_same_assertion(&capture, &ours, &theirs);
        assert!(ids.insert(id), "{}: an assertion is sent twice", capture.name);
    });
}

/// Too short to be safe, and more than the library that signs will do.
fn assert_weak_key_is_refused(capture: &Capture) {
    let log = Log::default();
    let error = builder(capture, &log).build().unwrap_err().to_string();
    assert!(
        error.contains("environment variable ENV_PRIVATE_KEY holds an RSA key of 1024 bits"),
        "{}: {error}",
        capture.name
    );
    assert_eq!(log.take(), []);
    capture.differs(Difference::WeakKey);
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// Both assertions say the same, and are signed with the case's credential. The id of ours.
fn assert_same_assertion(capture: &Capture, ours: &str, captured: &str) -> String {
    let name = &capture.name;
    assert_verifies(capture, ours);
    // The vendor's client signs with the line break, so there the same credential does not verify both.
    match name == "special_secret_trailing_newline_jwt" {
        true => capture.differs(Difference::LineBreak),
        false => assert_verifies(capture, captured),
    }
    let parts: Vec<&str> = ours.split('.').collect();
    let theirs: Vec<&str> = captured.split('.').collect();
    assert_eq!(decoded(parts[0]), decoded(theirs[0]), "{name}");
    let (claims, captured) = (decoded(parts[1]), decoded(theirs[1]));
    let names = |claims: &Value| claims.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&claims), names(&captured), "{name}");
    for claim in ["iss", "sub", "aud"] {
        assert_eq!(claims[claim], captured[claim], "{name}");
    }
    let id = claims["jti"].as_str().unwrap();
    assert_eq!(id.len(), captured["jti"].as_str().unwrap().len(), "{name}");
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert!((1..=600).contains(&life), "{name}");
    id.to_owned()
}

fn assert_verifies(capture: &Capture, assertion: &str) {
    let header = decoded(assertion.split('.').next().unwrap());
    let (message, signature) = assertion.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    if header["alg"] == "HS256" {
        let secret = capture.variable("IDAAS_CLIENT_SECRET");
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.strip_suffix('\n').unwrap_or(&secret).as_bytes());
        return hmac::verify(&key, message.as_bytes(), &signature).unwrap();
    }
    let private = capture.variable_file("ENV_PRIVATE_KEY").unwrap();
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

#[tokio::test]
async fn client_secret_jwt_is_as_captured() {
    crate::conformance::check_all("CLIENT_SECRET_JWT").await;
}

#[tokio::test]
async fn private_key_jwt_is_as_captured() {
    crate::conformance::check_all("PRIVATE_KEY_JWT").await;
}

#[tokio::test]
async fn pca_is_as_captured() {
    crate::conformance::check_all("PCA").await;
}
