//! OIDC and PKCS7 against the in-process IDaaS, which verifies every signature, over TLS.

mod deployments;
mod oidc;
mod pkcs7;

use std::path::PathBuf;
use std::time::Duration;

use http::{Method, StatusCode};
use tower_idaas::authn::{AssertionSource, TokenRequest};
use tower_idaas::authn::{Oidc, Pkcs7};
use tower_idaas::clock::ManualClock;
use tower_idaas::{BoxFuture, Error, ErrorKind, Idaas, IdaasBuilder, Scope, Secret};
use tower_idaas_testing::{Behaviour, ClientAuthentication, MetadataDocument, MetadataService, TestIdaas};

const MINUTE: Duration = Duration::from_secs(60);

/// A client as its configuration file has it, with the clock of the issuer.
struct Fixture {
    idaas: TestIdaas,
    clock: ManualClock,
    folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let clock = ManualClock::new();
        let idaas = TestIdaas::builder().clock(clock.clone()).start().await.unwrap();
        Self { idaas, clock, folder: tempfile::tempdir().unwrap() }
    }

    fn write_token(&self) -> PathBuf {
        self.idaas.write_service_account_token(self.folder.path()).unwrap()
    }

    fn builder(&self, method: ClientAuthentication) -> IdaasBuilder {
        self.with_clock(Idaas::builder().config_file(self.config(method)))
    }

    fn config(&self, method: ClientAuthentication) -> PathBuf {
        self.idaas.write_config(self.folder.path(), method).unwrap()
    }

    fn with_clock(&self, builder: IdaasBuilder) -> IdaasBuilder {
        builder
            .environment(self.idaas.environment())
            .clock(self.clock.clone())
            .root_certificate(self.idaas.root_certificate_pem())
    }

    fn oidc(&self) -> Idaas {
        self.builder(ClientAuthentication::Oidc).build().unwrap()
    }

    fn pkcs7(&self, metadata: &MetadataService) -> Idaas {
        self.builder(ClientAuthentication::Pkcs7).metadata_address(metadata.address()).build().unwrap()
    }

    /// The configuration of PKCS7 with another word in place of one of its own.
    fn changed(&self, from: &str, to: &str) -> IdaasBuilder {
        let path = self.config(ClientAuthentication::Pkcs7);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        std::fs::write(&path, text.replace(from, to)).unwrap();
        self.with_clock(Idaas::builder().config_file(path))
    }

    /// Past the life of every token of the issuer, which is 20 minutes.
    fn outlive_the_token(&self) {
        self.clock.advance(21 * MINUTE);
    }
}

async fn refused(idaas: &Idaas, why: &str) -> Error {
    let error = idaas.token().await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_client"), "{error}");
    assert!(error.to_string().contains(why), "{error}");
    error
}

#[tokio::test]
async fn another_credentials_name_is_refused_and_shown() {
    let fixture = Fixture::new().await;
    let metadata = fixture.idaas.start_metadata_service().await.unwrap();
    let idaas = fixture.changed(TestIdaas::FEDERATED_CREDENTIAL, "other");
    refused(&idaas.metadata_address(metadata.address()).build().unwrap(), "no federated credential").await;
}

/// The kubelet's directories: `token` leads through `..data`, which is swapped.
#[cfg(unix)]
/// A supplier of the user's own: whatever is in the file.
#[derive(Debug)]
struct Supplier(PathBuf);

impl AssertionSource for Supplier {
    fn assertion<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async move {
            assert_eq!(request.instance_id(), TestIdaas::INSTANCE_ID);
            Ok(Secret::new(std::fs::read_to_string(&self.0).unwrap()))
        })
    }
}

#[tokio::test]
async fn a_supplier_of_the_users_own_gives_the_token_or_the_document() {
    let fixture = Fixture::new().await;
    let supplier = |text: &str| {
        let path = fixture.folder.path().join("given");
        std::fs::write(&path, text).unwrap();
        Supplier(path)
    };
    let config = || fixture.builder(ClientAuthentication::SecretPost);
    let name = TestIdaas::FEDERATED_CREDENTIAL;

    let token = format!("\n{}\n", fixture.idaas.service_account_token().issue().unwrap());
    config().authenticator(Oidc::from_source(name, supplier(&token))).build().unwrap().token().await.unwrap();

    let document = ec2_document(&fixture).await;
    config()
        .authenticator(Pkcs7::from_source(name, supplier(&document)))
        .build()
        .unwrap()
        .token()
        .await
        .unwrap();
    assert_eq!(fixture.idaas.rejected_requests(), 0);

    for idaas in [
        config().authenticator(Oidc::from_source(name, supplier(" "))).build().unwrap(),
        config().authenticator(Pkcs7::from_source(name, supplier(" "))).build().unwrap(),
    ] {
        assert_eq!(idaas.token().await.unwrap_err().kind(), ErrorKind::Credential);
    }
}

/// A document as a program would get it by its own means.
async fn ec2_document(fixture: &Fixture) -> String {
    use http_body_util::{BodyExt, Empty};
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;

    let metadata = fixture.idaas.start_metadata_service().await.unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let send = async |request: http::request::Builder| {
        let response = client.request(request.body(Empty::new()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    };
    let request = http::Request::put(format!("{}/latest/api/token", metadata.address()));
    let token = send(request.header("x-aws-ec2-metadata-token-ttl-seconds", "60")).await;
    let path = "/latest/dynamic/instance-identity/rsa2048";
    let request = http::Request::get(format!("{}{path}", metadata.address()));
    send(request.header("x-aws-ec2-metadata-token", token)).await
}

#[tokio::test]
async fn nothing_shows_a_token_or_a_document() {
    let fixture = Fixture::new().await;
    let path = fixture.write_token();
    let token = std::fs::read_to_string(&path).unwrap();
    fixture.idaas.set_behaviour(Behaviour::Echo);
    let idaas = fixture.oidc();
    let error = idaas.token().await.unwrap_err();
    let metadata = fixture.idaas.start_metadata_service().await.unwrap();
    let shown = format!("{idaas:?} {error} {error:?} {metadata:?} {:?}", fixture.idaas);
    for part in token.split('.') {
        assert!(!shown.contains(part), "{shown}");
    }
    let error = fixture.pkcs7(&metadata).token().await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("MII"), "{error:?}");
}
