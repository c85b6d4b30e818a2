//! No access key, signature or token in any error, `Debug` or log line.

use http::StatusCode;
use tower_idaas_testing::{AccessKey, Behaviour};

use super::{Fixture, Outcome};
use crate::support::chain;
use crate::support::log::{Log, forms};

#[tokio::test]
async fn nothing_shows_an_access_key_or_a_token() -> Outcome {
    let log = Log::start();
    let (mut shown, mut tokens) = (String::new(), Vec::new());
    let behaviours = [
        Behaviour::Normal,
        Behaviour::Echo,
        Behaviour::openapi_error(StatusCode::FORBIDDEN, "Forbidden.RAM"),
        Behaviour::response(StatusCode::BAD_GATEWAY, "text/html", "<html>no</html>"),
        Behaviour::CutMidBody,
        Behaviour::change(|answer| answer["TokenResponse"]["TokenType"] = "mac".into()),
        Behaviour::change(|answer| answer["TokenResponse"]["AccessToken"] = "st5Secret+/=marker\r\n".into()),
    ];
    for behaviour in behaviours {
        let fixture = Fixture::new().await;
        let key = fixture.temporary_key();
        // The one that the server does not know under this secret gets the canonical request back.
        for key in [
            key.clone(),
            AccessKey::new(key.id(), "wr0ngSecret+/=marker").with_security_token("CAIStoken/+==marker"),
        ] {
            fixture.open_api.set_behaviour(behaviour.clone());
            let builder = fixture.client_with(key.environment());
            shown += &format!("{builder:?} {key:?} {:?}", fixture.open_api);
            let idaas = builder.build()?;
            match idaas.token().await {
                Ok(token) => tokens.push(token.expose_token().to_owned()),
                Err(error) => shown += &format!("{error} {error:#} {error:?} {error:#?} {}\n", chain(&error)),
            }
            shown += &format!("{idaas:?} {:?}", fixture.open_api.requests());
        }
    }
    assert!(shown.contains("SignatureDoesNotMatch") && shown.contains("[redacted]"), "{shown}");
    assert_eq!(tokens.len(), 1);
    let log = log.text();
    for line in ["token fetched", "token not fetched", "hyper_util::", "rustls::"] {
        assert!(log.contains(line), "no `{line}` in the log");
    }
    let secrets = ["st5Secret+/=marker", "wr0ngSecret+/=marker", "CAIStoken/+==marker", tokens[0].as_str()];
    for hidden in secrets.iter().flat_map(|secret| forms(secret)) {
        assert!(!shown.contains(&hidden), "`{hidden}` is shown: {shown}");
        if let Some(at) = log.find(&hidden) {
            panic!("`{hidden}` is logged: {}", &log[at.saturating_sub(300)..at + hidden.len()]);
        }
    }
    let signatures = shown.matches("Signature=").count();
    assert_eq!(signatures, shown.matches("Signature=[redacted]").count(), "{shown}");
    Ok(())
}
