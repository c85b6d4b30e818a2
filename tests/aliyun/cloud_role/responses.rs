//! Each response that cannot be used is one readable error.

use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use serde_json::json;
use tower_idaas::ErrorKind;
use tower_idaas_testing::{Behaviour, CloudVendor};

use crate::cloud_role::support::{Outcome, World, with_member};

const CREDENTIAL: &str = "cloudAccountRoleAccessCredential";

#[tokio::test]
async fn every_unusable_response_says_what_is_wrong_with_it() -> Outcome {
    use ErrorKind::{InvalidResponse, Transport, Unavailable};

    let redirect = Behaviour::status(StatusCode::FOUND);
    let redirect = redirect.with_header(LOCATION, HeaderValue::from_static("https://elsewhere.example/"));
    let (ok, bad) = (StatusCode::OK, StatusCode::BAD_GATEWAY);
    let absent = "carries no `cloudAccountRoleAccessCredential`";
    for (behaviour, kind, transient, part) in [
        (redirect, InvalidResponse, false, "redirects of the DeveloperAPI are refused"),
        (Behaviour::response(bad, "text/html", "<html>no</html>"), Unavailable, true, "text/html"),
        (
            Behaviour::response(ok, "text/html", "<html>log in</html>"),
            InvalidResponse,
            true,
            "neither a result",
        ),
        (Behaviour::response(ok, "application/json", ""), InvalidResponse, true, "0 bytes"),
        (Behaviour::response(ok, "application/json", "{\"a\":"), InvalidResponse, true, "neither a result"),
        (Behaviour::json(ok, &json!([{}])), InvalidResponse, true, "neither a result"),
        (Behaviour::json(ok, &json!({ "requestId": "req_1" })), InvalidResponse, false, absent),
        (Behaviour::json(ok, &json!({ CREDENTIAL: "x" })), InvalidResponse, false, absent),
        (
            Behaviour::json(ok, &json!({ CREDENTIAL: { "alibabaCloudStsToken": null } })),
            InvalidResponse,
            false,
            "no STS token of a cloud that is known here (its type is `nothing`)",
        ),
        (with_member("accessKeyId", None), InvalidResponse, false, "carries no `accessKeyId`"),
        (
            with_member("accessKeySecret", Some(json!(" "))),
            InvalidResponse,
            false,
            "carries no `accessKeySecret`",
        ),
        (with_member("securityToken", Some(json!(7))), InvalidResponse, false, "carries no `securityToken`"),
        (Behaviour::CutMidBody, Transport, true, "broke before the response was complete"),
        (Behaviour::HugeBody(2 * 1024 * 1024), InvalidResponse, false, "was cut off"),
        (Behaviour::code(ok, "server_error"), Unavailable, true, "refused with 200 OK: server_error"),
    ] {
        let case = format!("{behaviour:?} {part}");
        let world = World::new().await?;
        world.api.set_behaviour(behaviour);
        let error = world.role()?.credentials().await.unwrap_err();
        assert!(error.to_string().contains(part), "{case}: {error}");
        assert_eq!((error.kind(), error.is_transient()), (kind, transient), "{case}: {error}");
        assert!(!error.to_string().contains('\n'));
        assert!(error.to_string().contains(&world.api.endpoint()), "{error}");
        // Two attempts more where it may pass, none where it will not.
        assert_eq!(world.calls(), if transient { 3 } else { 1 }, "{case}");
    }
    Ok(())
}

#[tokio::test]
async fn a_cloud_that_is_not_known_is_named() -> Outcome {
    let world = World::new().await?;
    world.api.add_role("cloud-of-tomorrow/role", CloudVendor::Unknown);
    let error = world.idaas.cloud_role("cloud-of-tomorrow/role")?.credentials().await.unwrap_err();
    assert!(error.to_string().contains("its type is `cloud_of_tomorrow`"), "{error}");
    Ok(())
}

#[tokio::test]
async fn an_unusable_response_carries_the_id_of_its_request() -> Outcome {
    for name in ["requestId", "RequestId", "request_id"] {
        let world = World::new().await?;
        world.api.set_behaviour(Behaviour::json(StatusCode::OK, &json!({ name: "req_1" })));
        let error = world.role()?.credentials().await.unwrap_err();
        assert_eq!(error.request_id(), Some("req_1"));
    }
    Ok(())
}
