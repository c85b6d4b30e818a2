//! Our client, doing what a capture says that the vendor's did.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::service_fn;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{ConfigError, Idaas, IdaasBuilder, SubjectToken};

use super::capture::Capture;
use super::sent::Sent;

/// Every request that the client sends, in the order in which they leave.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Sent>>>);

impl Log {
    pub(crate) fn write(&self, sent: Sent) {
        self.0.lock().unwrap().push(sent);
    }

    pub(crate) fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A client as the capture has it, whose requests end in the log.
pub(crate) fn builder(capture: &Capture, log: &Log) -> IdaasBuilder {
    let log = log.clone();
    let server = service_fn(move |request: Request<Full<Bytes>>| {
        let log = log.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            log.write(Sent::new(&head.method, &head.uri, &head.headers, &body));
            let answer = match head.uri.host() {
                Some("eiam.cn-hangzhou.aliyuncs.com") => {
                    let token = json!({ "TokenType": "Bearer", "AccessToken": "dummy-openapi-token-1" });
                    json!({ "TokenResponse": token })
                }
                Some("sts.aliyuncs.com") => json!({ "Credentials": temporary_key("rrsa") }),
                _ => {
                    json!({ "token_type": "Bearer", "access_token": "dummy-access-token-1", "expires_in": 3600 })
                }
            };
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(answer.to_string()))))
        }
    });
    let environment: ManualEnvironment = capture.environment();
    Idaas::builder().config_file(capture.write_config()).environment(environment).transport(server)
}

/// An access key as STS gave it to the vendor's client. Its secret is not in the captures, but was made like
/// the rest.
pub(crate) fn temporary_key(from: &str) -> Value {
    json!({
        "Code": "Success",
        "AccessKeyId": format!("STS.FAKE{from}AccessKeyId"),
        "AccessKeySecret": format!("FAKE{from}Secret"),
        "SecurityToken": format!("FAKE{from}SecurityToken=="),
        "Expiration": "2099-01-01T00:00:00Z",
    })
}

/// What our client sends when it does all that the capture says.
pub(crate) async fn play(capture: &Capture, change: impl FnOnce(IdaasBuilder) -> IdaasBuilder) -> Vec<Sent> {
    play_into(&Log::default(), capture, change).await
}

/// The same with a log that others write to as well.
pub(crate) async fn play_into(
    log: &Log,
    capture: &Capture,
    change: impl FnOnce(IdaasBuilder) -> IdaasBuilder,
) -> Vec<Sent> {
    let name = &capture.name;
    let built: Result<Idaas, ConfigError> = change(builder(capture, log)).build();
    let idaas = built.unwrap_or_else(|error| panic!("{name}: {error:#}"));
    assert!(log.0.lock().unwrap().is_empty(), "{name}: to build a client sends no request");
    for (action, expected) in capture.actions().zip(capture.results()) {
        let argument = |index: usize| action[index].as_str().unwrap();
        let token = match argument(0) {
            // The vendor's client fetches a token whenever it starts; ours only if that is set.
            "init" => {
                idaas.prefetch().await.unwrap();
                assert_eq!(expected, None, "{name}");
                continue;
            }
            "get" => idaas.token().await,
            "get_scope" => idaas.token_for(&argument(1).parse().unwrap()).await,
            "exchange" => idaas.exchange(&subject(action)).await,
            other => panic!("{name}: the harness does not know `{other}`"),
        };
        assert_eq!(Some(token.unwrap().expose_token()), expected, "{name}");
    }
    log.take()
}

/// The subject token, its type and the requested type, which may be left to the client.
fn subject(action: &[Value]) -> SubjectToken {
    let text = |index: usize| action[index].as_str().map(str::to_owned);
    let subject = SubjectToken::new(text(1).unwrap(), text(2).unwrap());
    match text(3) {
        Some(requested) => subject.with_requested_type(requested),
        None => subject,
    }
}
