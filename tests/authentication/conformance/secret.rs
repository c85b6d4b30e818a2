//! CLIENT_SECRET_BASIC and CLIENT_SECRET_POST.
//!
//! On purpose: one line break at a secret's end is an editor's, not the secret's, and is not sent; and Basic
//! form-encodes id and secret first, as RFC 6749 section 2.3.1 asks, unless raw credentials are asked for.
//! With those, Basic equals the captures byte for byte.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tower_idaas::SecretSource;
use tower_idaas::authn::ClientSecretBasic;

use super::capture::{Capture, Difference};
use super::client::play;

pub(crate) async fn check_post(capture: &Capture) {
    let sent = play(capture, |builder| builder).await;
    capture.assert_sent(sent, |_, _, theirs| {
        trim_line_break(capture, theirs.form.get_mut("client_secret").unwrap());
    });
}

pub(crate) async fn check_basic(capture: &Capture) {
    let secret = SecretSource::variable(capture.authentication()["clientSecretEnvVarName"].as_str().unwrap());
    let method = ClientSecretBasic::new(secret).raw_credentials();
    let raw = play(capture, |builder| builder.authenticator(method)).await;
    capture.assert_sent(raw, |_, ours, theirs| {
        let mut expected = credentials(&theirs.authorization.take().unwrap());
        trim_line_break(capture, &mut expected);
        assert_eq!(credentials(&ours.authorization.take().unwrap()), expected, "{}", capture.name);
    });
    let by_rfc = play(capture, |builder| builder).await;
    capture.assert_sent(by_rfc, |captured, ours, theirs| {
        let (ours, theirs) = (ours.authorization.take().unwrap(), theirs.authorization.take().unwrap());
        assert_by_rfc(capture, captured, &ours, &theirs);
    });
}

fn assert_by_rfc(capture: &Capture, captured: &Value, ours: &str, theirs: &str) {
    let name = &capture.name;
    // Which characters are encoded is the encoder's habit (`~` and `*`); what they decode to is not.
    let by_rfc = credentials(captured["rfc6749_2_3_1_authorization"].as_str().unwrap());
    let ours = credentials(ours);
    let mut expected = decoded_pair(&by_rfc);
    trim_line_break(capture, &mut expected.1);
    assert_eq!(decoded_pair(&ours), expected, "{name}");
    assert!(ours.matches(':').count() == 1 && !ours.contains(' ') && ours.is_ascii(), "{name}: {ours}");
    if captured["same_as_rfc6749_2_3_1"] == true {
        assert_eq!((&ours, credentials(theirs)), (&by_rfc, by_rfc.clone()), "{name}");
    }
}

fn trim_line_break(capture: &Capture, secret: &mut String) {
    if let Some(trimmed) = secret.strip_suffix('\n') {
        secret.truncate(trimmed.len());
        capture.differs(Difference::LineBreak);
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

#[tokio::test]
async fn client_secret_basic_is_as_captured() {
    crate::conformance::check_all("CLIENT_SECRET_BASIC").await;
}

#[tokio::test]
async fn client_secret_post_is_as_captured() {
    crate::conformance::check_all("CLIENT_SECRET_POST").await;
}
