//! What the sources send is what the vendor's own client sends, but for what is said here.

use std::collections::BTreeSet;

use super::*;

fn captured(name: &str) -> Value {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn a_role_is_assumed_with_the_captured_parameters_and_the_token_in_a_body_instead_of_the_query() {
    let fixture = Fixture::new().await;
    fixture.client(&fixture.rrsa()).token().await.unwrap();
    let capture = captured("plugin_cred_oidc_rrsa");
    let pairs = capture["requests"][0]["query_pairs"].as_array().unwrap();
    let theirs: BTreeSet<&str> = pairs.iter().map(|pair| pair[0].as_str().unwrap()).collect();
    let requests = fixture.sts.requests();
    let ours: BTreeSet<&str> = requests[0].parameter_names().collect();
    assert_eq!(ours, theirs);
    assert_eq!(requests[0].method.as_str(), "POST");
    assert!(!requests[0].uri.query().unwrap().contains("OIDCToken"));
}

#[tokio::test]
async fn the_instances_role_is_requested_as_captured_with_one_metadata_token_for_both_requests() {
    let fixture = Fixture::new().await;
    fixture.metadata.attach_role("FakeEcsRole", &fixture.open_api);
    fixture.client(&nothing()).token().await.unwrap();
    let capture = captured("plugin_cred_ecs_ram_role");
    let theirs = capture["requests"].as_array().unwrap()[..4].iter().map(|request| {
        format!("{} {}", request["method"].as_str().unwrap(), request["url_path"].as_str().unwrap())
    });
    let mut theirs: Vec<String> = theirs.collect();
    theirs.remove(2);
    let requests = fixture.metadata.requests();
    let ours: Vec<String> =
        requests.iter().map(|request| format!("{} {}", request.method, request.uri)).collect();
    assert_eq!(ours, theirs);
    assert!(requests[0].headers.contains_key("x-aliyun-ecs-metadata-token-ttl-seconds"));
    assert!(requests[1..].iter().all(|request| request.headers.contains_key("x-aliyun-ecs-metadata-token")));
}
