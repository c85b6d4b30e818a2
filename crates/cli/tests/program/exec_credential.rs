//! `idaas exec-credential`, as kubectl calls it.

use serde_json::Value;

use super::{Fixture, assert_fails, done, run};

const VARIABLE: &str = "KUBERNETES_EXEC_INFO";

fn asking_for(version: &str) -> String {
    format!(r#"{{"kind":"ExecCredential","apiVersion":"{version}","spec":{{"interactive":false}}}}"#)
}

#[tokio::test]
async fn the_response_is_of_the_version_that_is_requested() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    let (v1, beta) = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1");
    for (requested, version) in [(None, v1), (Some(v1), v1), (Some(beta), beta)] {
        let info = requested.map(asking_for).unwrap_or_default();
        let variables = [&fixture.variables(secret.expose_secret())[..], &[(VARIABLE, &info)]].concat();
        let output = run(&["exec-credential"], &variables).await;
        let credential: Value = serde_json::from_str(done(&output)).unwrap();
        assert_eq!(credential.get("apiVersion").unwrap(), version);
        assert_eq!(credential.get("kind").unwrap(), "ExecCredential");
        let status = credential.get("status").unwrap();
        assert_eq!(status.get("token").unwrap().as_str().unwrap().split('.').count(), 3);
        // RFC 3339, as Go's time.Time reads it.
        let expires = status.get("expirationTimestamp").unwrap().as_str().unwrap();
        assert!(humantime::parse_rfc3339(expires).unwrap() > std::time::SystemTime::now());
    }
}

#[tokio::test]
async fn another_version_and_no_json_fetch_nothing() {
    let fixture = Fixture::new().await;
    let secret = fixture.server.secret();
    for (info, expected) in [
        (
            asking_for("client.authentication.k8s.io/v1alpha1"),
            "not supported; set client.authentication.k8s.io/v1 ",
        ),
        ("{".to_owned(), "KUBERNETES_EXEC_INFO is not JSON"),
    ] {
        let variables = [&fixture.variables(secret.expose_secret())[..], &[(VARIABLE, &info)]].concat();
        assert_fails(&run(&["exec-credential"], &variables).await, 1, &[expected]);
    }
    assert_eq!(fixture.server.token_requests(), 0);
}
