//! Each method, when nothing is wrong, and what may be wrong with its credential.

use std::net::Ipv6Addr;
use std::time::Duration;

use tower_idaas_testing::{ClientAuthentication, TestIdaas};

use super::doctor::demo::Demo;
use super::doctor::finding::Step;
use super::doctor::report::Report;
use super::raw::Blackhole;
use super::{assert_fails, assert_holds_no_secret, fact, finding};

async fn demo(method: ClientAuthentication) -> Demo {
    Demo::with(TestIdaas::start().await.unwrap(), method).unwrap()
}

#[tokio::test]
async fn every_method_gets_through_and_describes_its_credential() {
    for (method, described) in [
        (ClientAuthentication::SecretPost, "a client secret"),
        (ClientAuthentication::SecretJwt, "HS256"),
        (ClientAuthentication::PrivateKeyJwt, "EC on P-256, ES256"),
        (ClientAuthentication::Pca, "CN=tower-idaas test client"),
        (ClientAuthentication::Oidc, "system:serviceaccount:default:test"),
        (ClientAuthentication::Pkcs7, "/latest/dynamic/instance-identity/pkcs7"),
    ] {
        let mut demo = demo(method).await;
        let metadata = demo.server.start_metadata_service().await.unwrap();
        demo.surroundings.metadata_address = Some(metadata.address());
        let report = demo.examine(Report::default()).await;
        assert!(report.is_healthy(), "{method}: {report:#?}");
        let credential = format!("{:?}", finding(&report, Step::Credential));
        assert!(credential.contains(described), "{method}: {credential}");
        assert_holds_no_secret(&report, &demo);
    }
}

#[tokio::test]
async fn a_key_with_escaped_line_breaks_is_described_as_well() {
    let mut demo = demo(ClientAuthentication::PrivateKeyJwt).await;
    let key = include_str!("../../../../tests/golden/keys/rsa3072.pkcs1.pem").replace('\n', "\\n");
    demo.surroundings.set(TestIdaas::PRIVATE_KEY_VARIABLE, key);
    demo.server.set_public_key(include_str!("../../../../tests/golden/keys/rsa3072.pub.pem")).unwrap();
    let report = demo.examine(Report::default()).await;
    assert_eq!(fact(&report, Step::Credential, "algorithm"), "RSA of 3072 bits, RS384");
    assert!(report.is_healthy(), "{report:#?}");
}

#[tokio::test]
async fn a_chosen_algorithm_and_certificates_in_files_are_described() {
    let mut demo = demo(ClientAuthentication::PrivateKeyJwt).await;
    let key = include_str!("../../../../tests/golden/keys/rsa3072.pkcs1.pem");
    demo.surroundings.set(TestIdaas::PRIVATE_KEY_VARIABLE, key);
    demo.server.set_public_key(include_str!("../../../../tests/golden/keys/rsa3072.pub.pem")).unwrap();
    demo.change("signingAlgorithm", &"RS512".into()).unwrap();
    let report = demo.examine(Report::default()).await;
    assert_eq!(fact(&report, Step::Credential, "algorithm"), "RSA of 3072 bits, RS512");

    let demo = self::demo(ClientAuthentication::Pca).await;
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(&demo.config).unwrap()).unwrap();
    for (key, path_key) in
        [("clientX509Certificate", "clientX509CertificatePath"), ("x509CertChains", "x509CertChainsPath")]
    {
        let text = config.pointer(&format!("/authnConfiguration/{key}")).and_then(|text| text.as_str());
        let path = demo.config.with_file_name(key);
        std::fs::write(&path, text.unwrap_or_default()).unwrap();
        demo.change(key, &"".into()).unwrap();
        let is_there = text.is_some_and(|text| !text.is_empty());
        demo.change(path_key, &if is_there { path.to_str().unwrap() } else { "" }.into()).unwrap();
    }
    let report = demo.examine(Report::default()).await;
    assert!(report.is_healthy(), "{report:#?}");
    assert!(fact(&report, Step::Credential, "subject").contains("CN=tower-idaas test client"));
}

#[tokio::test]
async fn on_google_cloud_the_token_is_that_of_the_metadata_service() {
    let mut demo = demo(ClientAuthentication::Oidc).await;
    demo.change("clientDeployEnvironment", &"GOOGLE_VM".into()).unwrap();
    let metadata = demo.server.start_metadata_service().await.unwrap();
    demo.surroundings.metadata_address = Some(metadata.address());
    let report = demo.examine(Report::default()).await;
    let credential = finding(&report, Step::Credential);
    assert!(credential.summary.contains("the metadata service"), "{credential:?}");
    assert!(fact(&report, Step::Credential, "request").contains("/computeMetadata/v1/"), "{credential:?}");
    assert!(!format!("{credential:?}").contains("service-account-token"), "{credential:?}");
    let variables = finding(&report, Step::Variables);
    assert_eq!(variables.summary, "the configuration names none");
}

#[tokio::test]
async fn a_service_account_token_that_has_expired_or_is_gone_is_the_credentials_fault() {
    let demo = demo(ClientAuthentication::Oidc).await;
    let file = demo.config.with_file_name("service-account-token");
    let old = demo.server.service_account_token().age(Duration::from_secs(7_200));
    old.write_to(&file).unwrap();
    let report = demo.examine(Report::default()).await;
    assert_fails(&report, Step::Credential, "renews the file");
    assert_holds_no_secret(&report, &demo);
    std::fs::remove_file(&file).unwrap();
    assert_fails(&demo.examine(Report::default()).await, Step::Credential, "serviceAccountToken");
}

#[tokio::test]
async fn a_metadata_service_out_of_reach_is_the_credentials_fault() {
    let mut demo = demo(ClientAuthentication::Pkcs7).await;
    // Bound and not listening: refused at once.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((std::net::Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    demo.surroundings.metadata_address = Some(format!("http://{}", socket.local_addr().unwrap()));
    assert_fails(&demo.examine(Report::default()).await, Step::Credential, "not an instance of the cloud");
}

#[tokio::test]
async fn a_host_is_in_reach_by_any_of_its_addresses_though_another_drops_packets() {
    let mut demo = demo(ClientAuthentication::Pkcs7).await;
    let metadata = demo.server.start_metadata_service().await.unwrap();
    let ports = [metadata.port(), demo.server.port()];
    let mut holes = Vec::new();
    for port in ports {
        holes.push(Blackhole::dig((Ipv6Addr::LOCALHOST, port).into()).await);
    }
    demo.surroundings.metadata_address = Some(format!("http://localhost:{}", metadata.port()));
    let report = demo.examine(Report::default()).await;
    assert!(report.is_healthy(), "{report:#?}");
}

#[tokio::test]
async fn plugin_names_the_source_of_its_access_key_and_probes_the_openapi() {
    let mut demo = demo(ClientAuthentication::SecretBasic).await;
    let api = demo.server.start_open_api().await.unwrap();
    std::fs::write(&demo.config, api.client_config()).unwrap();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((std::net::Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    demo.surroundings.metadata_address = Some(format!("http://{}", socket.local_addr().unwrap()));
    let report = demo.examine(Report::default()).await;
    assert_fails(&report, Step::Credential, "ALIBABA_CLOUD_ACCESS_KEY_ID");

    demo.surroundings.set("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAI_test");
    demo.surroundings.set("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "not-a-real-access-key-secret");
    let report = demo.examine(Report::default()).await;
    assert!(report.is_healthy(), "{report:#?}");
    assert!(finding(&report, Step::Tcp).summary.ends_with(api.endpoint().trim_start_matches("localhost")));
    assert_eq!(fact(&report, Step::Credential, "environment"), "its variables are set");
    let sources: Vec<&str> = finding(&report, Step::Credential).facts.iter().map(|(name, _)| *name).collect();
    assert_eq!(sources[sources.len() - 2..], ["ECS RAM role", "credentials URI"]);
    assert!(!super::printed(&report).contains("not-a-real-access-key-secret"));
    assert_holds_no_secret(&report, &demo);
}

#[tokio::test]
async fn a_secret_in_a_file_is_used_and_one_that_cannot_be_read_is_reported_at_the_credential() {
    let server = TestIdaas::builder().start().await.unwrap();
    let demo = Demo::with(server, ClientAuthentication::SecretBasic).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    demo.change("clientSecretEnvVarName", &"".into()).unwrap();
    demo.change("clientSecretFilePath", &file.to_str().unwrap().into()).unwrap();
    let report = demo.examine(Report::default()).await;
    assert_fails(&report, Step::Credential, "where the configuration says");
    std::fs::write(&file, demo.server.secret().expose_secret()).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let report = demo.examine(Report::default()).await;
    assert!(report.is_healthy(), "{report:#?}");
    assert_holds_no_secret(&report, &demo);
}
