//! Plugins of one's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tower_idaas::clock::ManualClock;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{BoxFuture, Error, Idaas, IdaasBuilder, Scope, TokenResponse, TokenSource};

use super::{Fixture, Outcome};

const BUILT_IN: &str = "alibabacloudPluginCredentialProvider";

/// Counts how often it is called.
#[derive(Clone, Debug, Default)]
struct Counting(Arc<AtomicUsize>);

impl TokenSource for Counting {
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        let token = format!("{}-{number}", scope.audience());
        Box::pin(async move { Ok(TokenResponse::bearer(&token)?.with_expires_in(Duration::from_secs(600))) })
    }
}

/// A client as the OpenAPI's file has it, but for the plugin's name.
fn client(fixture: &Fixture, name: &str) -> IdaasBuilder {
    let path = fixture.open_api.write_config(fixture.folder.path()).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(BUILT_IN, name)).unwrap();
    Idaas::builder().config_file(path).environment(ManualEnvironment::new())
}

#[tokio::test]
async fn the_file_chooses_one_by_name_and_it_is_cached_like_any_source() -> Outcome {
    let fixture = Fixture::new().await;
    let (counting, clock) = (Counting::default(), ManualClock::new());
    let builder =
        client(&fixture, "mine").plugin("mine", counting.clone()).plugin("other", Counting::default());
    let idaas = builder.clock(clock.clone()).build()?;
    assert_eq!(counting.0.load(Ordering::SeqCst), 0);
    for _ in 0..3 {
        assert_eq!(idaas.token().await?.expose_token(), "api://test-1");
    }
    clock.advance(Duration::from_secs(601));
    assert_eq!(idaas.token().await?.expose_token(), "api://test-2");
    assert_eq!(idaas.token_for(&"b|c".parse()?).await?.expose_token(), "b-3");
    Ok(())
}

#[tokio::test]
async fn one_under_the_built_in_name_replaces_it() -> Outcome {
    let fixture = Fixture::new().await;
    let idaas = client(&fixture, BUILT_IN).plugin(BUILT_IN, Counting::default()).build()?;
    assert_eq!(idaas.token().await?.expose_token(), "api://test-1");
    assert!(fixture.open_api.requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn code_chooses_one_against_the_file() -> Outcome {
    let fixture = Fixture::new().await;
    let idaas =
        client(&fixture, "unknown").plugin("mine", Counting::default()).plugin_name("mine").build()?;
    assert_eq!(idaas.token().await?.expose_token(), "api://test-1");
    Ok(())
}

#[tokio::test]
async fn an_unknown_name_is_reported_with_the_known_ones_and_with_all_other_faults() {
    let fixture = Fixture::new().await;
    let builder = client(&fixture, "sidecat").plugin("sidecar", Counting::default()).scope("a");
    let error = builder.build().unwrap_err();
    let faulty: Vec<&str> = error.faults().iter().map(|fault| fault.key()).collect();
    assert_eq!(faulty, ["scope", "authnConfiguration.pluginName"]);
    let text = error.to_string();
    for part in ["is `sidecat`", BUILT_IN, "did you mean `sidecar`?", "client-config.json"] {
        assert!(text.contains(part), "{text}");
    }
}
