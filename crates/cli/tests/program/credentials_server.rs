//! `idaas credentials-server`.
#![cfg(unix)]

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_idaas_testing::Behaviour;

use super::cloud_role::{ALIBABA, AWS, fixture};
use super::server::Running;
use super::{assert_fails, text};

/// The status, the head and the body of the response.
async fn send(method: &str, authority: &str, path: &str) -> (u16, String, Value) {
    let mut stream = TcpStream::connect(authority).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn credentials_are_at_a_path_that_differs_each_time_and_nowhere_else() {
    let (fixture, api) = fixture().await;
    let secret = fixture.server.secret();
    let variables = fixture.variables(secret.expose_secret());
    let mut paths = Vec::new();
    for signal in ["-INT", "-TERM"] {
        let (running, uri) = Running::start(&["credentials-server", ALIBABA], &variables).line().await;
        let (authority, path) = uri.strip_prefix("http://").unwrap().split_once('/').unwrap();
        assert!(authority.starts_with("127.0.0.1:") && path.len() == 43, "{uri}");
        let (status, head, body) = send("GET", authority, &format!("/{path}")).await;
        assert_eq!((status, body.get("Code").unwrap().as_str()), (200, Some("Success")));
        assert!(head.contains("cache-control: no-store") && head.contains("application/json"));
        for key in ["AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration"] {
            assert!(!body.get(key).unwrap().as_str().unwrap().is_empty(), "{key}");
        }
        for other in ["/", "/credentials", &format!("/{}", path.get(..42).unwrap()), &format!("/{path}x")] {
            let (status, _, body) = send("GET", authority, other).await;
            assert_eq!((status, body.get("AccessKeyId")), (404, None), "{other}");
        }
        assert_eq!(send("POST", authority, &format!("/{path}")).await.0, 405);
        paths.push(path.to_owned());
        let output = running.end(signal).await;
        assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
        assert!(!text(&output.stderr).contains(path), "stderr tells the path");
    }
    assert_ne!(paths.first(), paths.last());
    // Once for each run: further programs are served from the cache.
    assert_eq!(api.issued(), 2);
}

#[tokio::test]
async fn a_failure_later_on_is_reported_to_the_client_and_not_kept() {
    let (fixture, api) = fixture().await;
    // So short that each request needs new ones.
    api.set_session_duration(Duration::from_secs(1));
    let secret = fixture.server.secret();
    let variables = fixture.variables(secret.expose_secret());
    let (running, uri) = Running::start(&["credentials-server", ALIBABA], &variables).line().await;
    let (authority, path) = uri.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let path = format!("/{path}");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    api.set_behaviour(Behaviour::status(StatusCode::FORBIDDEN));
    let (status, _, body) = send("GET", authority, &path).await;
    assert_eq!((status, body.get("Code").unwrap().as_str()), (503, Some("Failed")));
    assert!(!body.to_string().contains(secret.expose_secret()));
    drop(running);
}

#[tokio::test]
async fn what_cannot_be_served_is_reported_at_the_start() {
    let (fixture, _api) = fixture().await;
    let secret = fixture.server.secret();
    let variables = fixture.variables(secret.expose_secret());
    let failed = |arguments: Vec<&'static str>| {
        let running = Running::start(&[&["credentials-server"], &arguments[..]].concat(), &variables);
        running.ended()
    };
    assert_fails(&failed(vec![AWS]).await, 1, &["not one of Alibaba Cloud"]);
    assert_fails(&failed(vec!["acs:ram::1:role/none"]).await, 1, &["role"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port: &'static str = taken.local_addr().unwrap().port().to_string().leak();
    assert_fails(&failed(vec![ALIBABA, "--port", port]).await, 1, &[port, "choose another --port"]);
}
