//! No secret in anything that can be printed, nor in any log line at any level.

use crate::support::log;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use http::StatusCode;
use serde_json::Value;
use tower_idaas_testing::Behaviour;

use self::log::{Log, forms};
use crate::cloud_role::support::{Outcome, PAM, World, seconds, with_ends, with_member};

fn debug(value: &impl Debug) -> String {
    format!("{value:?} {value:#?}\n")
}

/// Notes the secrets of each answer that leaves, and changes nothing else.
fn noting(secrets: &Arc<Mutex<Vec<String>>>) -> Behaviour {
    let secrets = Arc::clone(secrets);
    Behaviour::change(move |answer| {
        let sts =
            answer.get("cloudAccountRoleAccessCredential").unwrap().get("alibabaCloudStsToken").unwrap();
        for name in ["accessKeyId", "accessKeySecret", "securityToken"] {
            secrets.lock().unwrap().push(sts.get(name).and_then(Value::as_str).unwrap().to_owned());
        }
    })
}

#[tokio::test]
async fn neither_credentials_nor_errors_nor_logs_show_a_secret() -> Outcome {
    let log = Log::start();
    let secrets = Arc::default();
    let mut shown = String::new();
    let world = World::new().await?;
    world.api.set_behaviour(noting(&secrets));
    let role = world.role()?;
    let credentials = role.credentials().await?;
    shown += &debug(&credentials);
    shown += &debug(credentials.sts_token());
    shown += &debug(&role);
    shown += &debug(&world.idaas);
    shown += &debug(&world.api);
    shown += &debug(&world.api.requests());
    let mut tokens = vec![world.idaas.token_for(&PAM.parse()?).await?.expose_token().to_owned()];

    for behaviour in [
        Behaviour::Echo,
        Behaviour::status(StatusCode::UNAUTHORIZED),
        Behaviour::response(StatusCode::BAD_GATEWAY, "text/html", "<html>no</html>"),
        Behaviour::CutMidBody,
        with_member("securityToken", None),
        with_member("accessKeyId", Some(Value::Null)),
        with_ends(Some(serde_json::json!("2001-01-01T00:00:00Z")), None),
    ] {
        world.clock.advance(seconds(24 * 3600));
        world.api.set_behaviour(behaviour);
        let error = role.credentials().await.unwrap_err();
        shown += &format!("{error} {error:#} {}", debug(&error));
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            shown += &format!("{error} {}", debug(&error));
            cause = error.source();
        }
        tokens.push(world.idaas.token_for(&PAM.parse()?).await?.expose_token().to_owned());
    }
    assert!(shown.contains("[redacted]"), "the echo came through");

    let log = log.text();
    for expected in
        ["STS credentials of acs:ram::", "credentials fetched", "credentials not fetched", "token fetched"]
    {
        assert!(log.contains(expected), "{expected} is not logged");
    }
    let secrets: Vec<String> = secrets.lock().unwrap().clone();
    assert_eq!(secrets.len(), 3);
    for secret in secrets.iter().chain(&tokens) {
        for form in forms(secret) {
            assert!(!shown.contains(&form), "a value shows {form}");
            assert!(!log.contains(&form), "the log shows {form}");
        }
    }
    Ok(())
}
