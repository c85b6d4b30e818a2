//! PLUGIN: everything is equal but the date, the nonce and so the signature, which are new in each call; the
//! signature is recomputed with the case's access key, as is the captured one.
//!
//! On purpose: what is signed is `host` and every `x-acs-` header, which is what the vendor asks for, and not
//! `accept` and `user-agent`, which a proxy may change; where the access key comes from is not sent in
//! `x-acs-credentials-provider`; and permissions are always in the same order, where the vendor's client has
//! another one in each process. An exchange is sent, as the vendor's
//! API client sends it, where the SDK refuses it.
//!
//! Before the call come the requests for the access key, if it is a role's. There, on purpose: the token for
//! STS is in a body, as the vendor's client for Go has it, where the one captured has it in the URL of a GET for any
//! proxy to log; and one token of the metadata service, of its own life, serves both questions, where the vendor's
//! client gets one for each.

use super::capture::Capture;
#[cfg(feature = "aliyun")]
use super::capture::Difference;
#[cfg(not(feature = "aliyun"))]
use super::client::{Log, builder};

/// The capture of an exchange that the vendor's SDK refuses.
pub(crate) const REFUSED: &str = "token_exchange_plugin";

#[cfg(feature = "aliyun")]
pub(crate) use openapi::check;

/// Without the feature there is no such plugin, and that is what the error says.
#[cfg(not(feature = "aliyun"))]
pub(crate) async fn check(capture: Capture) {
    let error = builder(&capture, &Log::default()).build().unwrap_err().to_string();
    assert!(error.contains("the feature `aliyun` is off"), "{error}");
}

#[cfg(feature = "aliyun")]
mod openapi {
    use std::collections::HashSet;

    use aws_lc_rs::{digest, hmac};
    use serde_json::Value;
    use tower_idaas::{IdaasBuilder, SubjectToken};

    use super::super::attested::metadata::{TOKEN, service};
    use super::super::client::{Log, builder, play_into, temporary_key};
    use super::super::sent::Sent;
    use super::{Capture, Difference, REFUSED};

    const URI: &str = "ALIBABA_CLOUD_CREDENTIALS_URI";

    pub(crate) async fn check(mut capture: Capture) {
        if capture.name == REFUSED {
            return assert_exchange_is_sent(&capture).await;
        }
        if capture.name == "plugin_cred_ecs_ram_role" {
            let again = capture.requests_mut().remove(2);
            assert_eq!(Sent::captured(&again), Sent::captured(&capture.requests()[0]));
        }
        let log = Log::default();
        let address = service(log.clone(), |path| match path {
            "/latest/api/token" => TOKEN.to_owned(),
            "/latest/meta-data/ram/security-credentials/" => "FakeEcsRole".to_owned(),
            "/latest/meta-data/ram/security-credentials/FakeEcsRole" => temporary_key("ecs").to_string(),
            "/creds-uri" => temporary_key("uri").to_string(),
            other => panic!("{other} is not captured"),
        })
        .await;
        let environment = capture.environment();
        if capture.has_variable(URI) {
            environment.set(URI, capture.variable(URI).replace("http://100.100.100.200", &address));
        }
        let change = |builder: IdaasBuilder| builder.environment(environment).metadata_address(&address);
        let sent = play_into(&log, &capture, change).await;
        let mut nonces = HashSet::new();
        capture.assert_sent(sent, |captured, ours, theirs| {
            if captured["acs3"].is_null() {
                return settle_before(ours, theirs);
            }
            settle(&capture, captured, ours, theirs);
            assert!(nonces.insert(ours.take_header("x-acs-signature-nonce")), "a nonce is sent twice");
            theirs.take_header("x-acs-signature-nonce");
        });
    }

    /// Makes the requests for the access key equal.
    fn settle_before(ours: &mut Sent, theirs: &mut Sent) {
        const LIFE: &str = "x-aliyun-ecs-metadata-token-ttl-seconds";
        if ours.find_header(LIFE).is_some() {
            assert_eq!([ours.take_header(LIFE), theirs.take_header(LIFE)], ["3600", "21600"]);
        }
        if theirs.query.contains("OIDCToken=") {
            assert!(!ours.query.contains("OIDCToken"));
            for sent in [ours, theirs] {
                sent.move_query_into_form();
                for name in ["RoleSessionName", "Timestamp"] {
                    assert!(!sent.take(name).is_empty());
                }
            }
        }
    }

    /// Recomputes both signatures and takes out what is new in each call, or differs on purpose.
    fn settle(capture: &Capture, captured: &Value, ours: &mut Sent, theirs: &mut Sent) {
        let secret = secret(capture, captured);
        capture.differs(Difference::Plugin);
        for (sent, signed_besides) in [(&mut *ours, vec![]), (&mut *theirs, vec!["accept", "user-agent"])] {
            let authorization = sent.authorization.take().unwrap();
            assert_signed(captured, sent, &authorization, &signed_besides, &secret);
            let date = sent.take_header("x-acs-date");
            assert!(date.len() == 20 && date.ends_with('Z'), "{date}");
        }
        theirs.take_header("x-acs-credentials-provider");
        assert_eq!(ours.header("x-acs-signature-nonce").len(), theirs.header("x-acs-signature-nonce").len());
    }

    /// The signature is over what it says, and it says `host` and all headers of the API's own.
    fn assert_signed(captured: &Value, sent: &Sent, authorization: &str, besides: &[&str], secret: &str) {
        let (start, signature) = authorization.rsplit_once(",Signature=").unwrap();
        let (_, names) = start.split_once(",SignedHeaders=").unwrap();
        let mut expected: Vec<&str> = sent.header_names().filter(|name| name.starts_with("x-acs-")).collect();
        expected.extend(besides.iter().copied().chain(["host"]));
        expected.sort_unstable();
        assert_eq!(names, expected.join(";"));
        let captured_header = |name: &str| {
            let headers = captured["headers"].as_array().unwrap().iter();
            let mut found = headers.filter(|header| header[0].as_str().unwrap().eq_ignore_ascii_case(name));
            found.next().unwrap()[1].as_str().unwrap().to_owned()
        };
        let value = |name: &str| match name.starts_with("x-acs-") {
            true => sent.header(name).to_owned(),
            false => captured_header(name),
        };
        let headers: String = names.split(';').map(|name| format!("{name}:{}\n", value(name))).collect();
        let hash = sent.header("x-acs-content-sha256");
        let canonical = format!("POST\n/\n{}\n{headers}\n{names}\n{hash}", sent.query);
        let canonical = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let expected = hmac::sign(&key, format!("ACS3-HMAC-SHA256\n{canonical}").as_bytes());
        assert_eq!(signature, hex(expected.as_ref()));
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The secret of the key that signed the capture.
    fn secret(capture: &Capture, captured: &Value) -> String {
        match capture.has_variable("ALIBABA_CLOUD_ACCESS_KEY_SECRET") {
            true => capture.variable("ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
            false => {
                let id = captured["acs3"]["credential"].as_str().unwrap();
                id.strip_prefix("STS.").unwrap().replace("AccessKeyId", "Secret")
            }
        }
    }

    /// The vendor's SDK refuses what its API does: ours sends what the vendor's API client sends.
    async fn assert_exchange_is_sent(capture: &Capture) {
        let log = Log::default();
        capture.differs(Difference::Plugin);
        let idaas = builder(capture, &log).environment(capture.environment()).build().unwrap();
        let action = capture.actions().last().unwrap();
        let subject =
            SubjectToken::new(action[1].as_str().unwrap().to_owned(), action[2].as_str().unwrap().to_owned());
        idaas.exchange(&subject).await.unwrap();
        let sent = log.take();
        assert_eq!(sent.len(), 1);
        assert!(
            sent[0].query.contains("&GrantType=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&")
        );
    }
}

#[tokio::test]
async fn plugin_is_as_captured() {
    crate::conformance::check_all("PLUGIN").await;
}

#[tokio::test]
async fn an_exchange_with_plugin_is_sent_where_the_vendors_sdk_refuses_it() {
    check(Capture::load(REFUSED)).await;
}
