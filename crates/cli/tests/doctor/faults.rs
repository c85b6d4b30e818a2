//! The demos, and other faults of file, keys and variables.

use std::path::Path;

use clap::ValueEnum;
use tower_idaas_testing::{ClientAuthentication, TestIdaas};

use super::doctor::demo::{Demo, Fault};
use super::doctor::examination::examine;
use super::doctor::finding::{Mark, Step};
use super::doctor::report::Report;
use super::doctor::surroundings::Surroundings;
use super::{
    as_text, assert_all_ok, assert_fails, assert_holds_no_secret, assert_skipped, fact, finding, printed,
};

#[tokio::test]
async fn where_nothing_is_wrong_every_step_is_ok_and_the_claims_are_reported() {
    let demo = Demo::start(None).await.unwrap();
    let report = demo.examine(Report::default()).await;
    assert_all_ok(&report);
    assert!(report.is_healthy());
    assert!(as_text(&report, false).ends_with("\nA token is issued.\n"));
    assert_eq!(fact(&report, Step::Claims, "aud"), "api://test");
    assert_eq!(fact(&report, Step::Claims, "scope"), "read");
    assert_eq!(fact(&report, Step::Claims, "iss"), demo.server.issuer());
    assert!(fact(&report, Step::Claims, "life").starts_with("20m"));
    assert!(fact(&report, Step::Tls, "issuer").contains("tower-idaas test authority"));
    assert_eq!(demo.server.tokens_issued(), 1);
    assert_holds_no_secret(&report, &demo);
}

#[tokio::test]
async fn each_demo_fails_at_its_step_with_advice_and_no_secret() {
    use Step::{Claims, Clock, Credential, Keys, Tcp, Tls, Token, Variables};
    assert_eq!(Fault::value_variants().len(), 7, "a demo is missing here");
    for (fault, step, advised, skipped) in [
        (Fault::WrongSecret, Token, "a secret that is valid there", &[Claims][..]),
        (Fault::MissingVariable, Variables, "where the service is started", &[Credential, Token, Claims]),
        (Fault::EndpointDown, Tcp, "the endpoint is down", &[Tls, Clock, Token, Claims]),
        (Fault::UntrustedCertificate, Tls, "set SSL_CERT_FILE", &[Clock, Token, Claims]),
        (Fault::ClockOff, Clock, "synchronise it with NTP", &[]),
        (Fault::ExpiredCertificate, Credential, "issue a new certificate", &[Token, Claims]),
        (Fault::TypoInKey, Keys, "likely typing errors", &[Variables, Token, Claims]),
    ] {
        let demo = Demo::start(Some(fault)).await.unwrap();
        let report = demo.examine(Report::default()).await;
        assert_fails(&report, step, advised);
        assert_skipped(&report, skipped);
        assert_holds_no_secret(&report, &demo);
    }
}

#[tokio::test]
async fn a_refusal_is_reported_with_its_request_id_and_a_typo_with_the_key_that_was_meant() {
    let report = Demo::start(Some(Fault::WrongSecret)).await.unwrap().examine(Report::default()).await;
    assert!(fact(&report, Step::Token, "request id").starts_with("req_"));
    assert_eq!(fact(&report, Step::Token, "error"), "invalid_client");
    let remedy = &finding(&report, Step::Token).advice.as_ref().unwrap().remedy;
    assert!(remedy.contains("set `authnMethod` to CLIENT_SECRET_POST") && !remedy.contains("::"), "{remedy}");
    let report = Demo::start(Some(Fault::TypoInKey)).await.unwrap().examine(Report::default()).await;
    let notes = finding(&report, Step::Keys).notes.join("\n");
    assert!(notes.contains("`authnConfiguration.clientSecretEnvVarName` is missing"), "{notes}");
    assert!(notes.contains("did you mean `authnConfiguration.clientSecretEnvVarName`?"), "{notes}");
}

#[tokio::test]
async fn a_clock_that_is_off_is_reported_with_its_offset_and_the_token_comes_all_the_same() {
    let report = Demo::start(Some(Fault::ClockOff)).await.unwrap().examine(Report::default()).await;
    let summary = &finding(&report, Step::Clock).summary;
    assert!(summary.contains("59m") || summary.contains("1h"), "{summary}");
    assert!(summary.contains("behind"), "{summary}");
    assert!(report.has_token());
    assert!(as_text(&report, false).contains("A token is issued, but"));
}

#[tokio::test]
async fn a_demonstration_says_that_it_is_one_and_a_real_examination_does_not() {
    let demo = Demo::start(None).await.unwrap();
    let shown = as_text(&demo.examine(Report::default()).await, false);
    assert!(shown.contains("Your configuration was not examined"), "{shown}");
    let real = examine(Report::default(), &demo.surroundings, None).await;
    assert!(!real.is_demo && !as_text(&real, false).contains("demonstration"));
}

#[tokio::test]
async fn an_unknown_key_beside_all_that_are_needed_is_a_warning() {
    let demo = Demo::start(None).await.unwrap();
    demo.change("colour", &"blue".into()).unwrap();
    let report = demo.examine(Report::default()).await;
    assert_eq!(finding(&report, Step::Keys).mark, Mark::Warning);
    assert!(finding(&report, Step::Keys).notes[0].contains("colour"), "{report:#?}");
    assert!(report.is_healthy());
}

#[tokio::test]
async fn a_secret_in_the_place_of_its_variables_name_is_not_repeated() {
    let demo = Demo::start(None).await.unwrap();
    demo.change("clientSecretEnvVarName", &"marker-of-a-pasted-secret/0123456789".into()).unwrap();
    let report = demo.examine(Report::default()).await;
    assert_fails(&report, Step::Keys, "would not start");
    assert_holds_no_secret(&report, &demo);
}

#[tokio::test]
async fn a_secret_in_the_place_of_another_value_is_not_repeated() {
    for key in ["scope", "tokenEndpoint", "openApiEndpoint", "clientId"] {
        let demo = Demo::start(None).await.unwrap();
        let mut config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&demo.config).unwrap()).unwrap();
        config[key] = "pasted\u{1b}secret|0123456789".into();
        std::fs::write(&demo.config, config.to_string()).unwrap();
        let report = demo.examine(Report::default()).await;
        assert_eq!(finding(&report, Step::Keys).mark, Mark::Failed, "{key}");
        let printed = printed(&report);
        assert!(!printed.contains("pasted") && !printed.contains("0123456789"), "{key}: {printed}");
    }
}

#[tokio::test]
async fn what_the_library_advises_is_repeated_to_its_end_however_long_the_path_before_it() {
    let demo = Demo::start(None).await.unwrap();
    demo.change("clientSecretFilePath", &("/nowhere".to_owned() + &"/long".repeat(100)).into()).unwrap();
    demo.change("clientSecretEnvVarName", &"".into()).unwrap();
    let report = demo.examine(Report::default()).await;
    let notes = finding(&report, Step::Credential).notes.join("\n");
    assert!(notes.contains("does not exist; check the path, and that the file is mounted"), "{notes}");
}

#[tokio::test]
async fn blanks_around_a_secret_are_a_warning() {
    let mut demo = Demo::start(None).await.unwrap();
    demo.surroundings.set(TestIdaas::SECRET_VARIABLE, "not-a-real-secret-of-the-demo ");
    let report = demo.examine(Report::default()).await;
    assert_eq!(finding(&report, Step::Variables).mark, Mark::Warning);
    assert_fails(&report, Step::Token, "a secret that is valid there");
}

#[tokio::test]
async fn a_file_that_is_not_there_or_no_json_ends_the_examination() {
    let demo = Demo::start(None).await.unwrap();
    let none =
        examine(Report::default(), &demo.surroundings, Some(Path::new("/nowhere/client-config.json"))).await;
    assert_fails(&none, Step::File, "CLOUD_IDAAS_CONFIG_PATH");
    std::fs::write(&demo.config, "{\"clientId\": marker-of-text").unwrap();
    let report = demo.examine(Report::default()).await;
    assert_fails(&report, Step::Keys, "a comma, quote or brace");
    assert!(finding(&report, Step::Keys).notes[0].contains("line 1"));
    assert_holds_no_secret(&report, &demo);
}

#[tokio::test]
async fn without_a_path_the_default_file_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let report = examine(Report::default(), &Surroundings::of_demo([("HOME", folder.path())]), None).await;
    assert!(finding(&report, Step::File).summary.ends_with(".cloud_idaas/client-config.json"));
    assert!(fact(&report, Step::File, "found").contains("default"));
    printed(&report);
}

#[tokio::test]
async fn a_damaged_key_is_the_credentials_fault() {
    let server = TestIdaas::start().await.unwrap();
    let mut demo = Demo::with(server, ClientAuthentication::PrivateKeyJwt).unwrap();
    demo.surroundings.set(TestIdaas::PRIVATE_KEY_VARIABLE, "-----BEGIN PRIVATE KEY-----\nmarker-of-a-key");
    let report = demo.examine(Report::default()).await;
    assert_fails(&report, Step::Credential, "the whole PEM text");
    assert_skipped(&report, &[Step::Token, Step::Claims]);
}
