//! The methods that sign what they send, against an IDaaS that verifies it, over TLS.

mod clocks;

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tower_idaas::authn::{AssertionSigner, SigningAlgorithm};
use tower_idaas::authn::{ClientSecretJwt, Pca, PrivateKeyJwt};
use tower_idaas::clock::ManualClock;
use tower_idaas::{BoxFuture, Error, ErrorKind, Idaas, IdaasBuilder, SecretSource};
use tower_idaas_testing::{Behaviour, ClientAuthentication, TestIdaas};

const METHODS: [ClientAuthentication; 3] =
    [ClientAuthentication::SecretJwt, ClientAuthentication::PrivateKeyJwt, ClientAuthentication::Pca];

macro_rules! golden {
    ($name:literal) => {
        include_str!(concat!("../../golden/keys/", $name))
    };
}

/// Private keys and their public halves.
const KEYS: [(&str, &str); 6] = [
    (golden!("rsa2048.pkcs1.pem"), golden!("rsa2048.pub.pem")),
    (golden!("rsa3072.pkcs8.pem"), golden!("rsa3072.pub.pem")),
    (golden!("rsa4096.pkcs8.pem"), golden!("rsa4096.pub.pem")),
    (golden!("ec_p256.sec1.pem"), golden!("ec_p256.pub.pem")),
    (golden!("ec_p384.pkcs8.pem"), golden!("ec_p384.pub.pem")),
    (golden!("ec_p521.sec1.pem"), golden!("ec_p521.pub.pem")),
];

/// A client of the test IDaaS by its configuration file and environment.
fn client(idaas: &TestIdaas, method: ClientAuthentication) -> (IdaasBuilder, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = idaas.write_config(directory.path(), method).unwrap();
    (trusting(idaas).config_file(path).environment(idaas.environment()), directory)
}

fn trusting(idaas: &TestIdaas) -> IdaasBuilder {
    Idaas::builder().root_certificate(idaas.root_certificate_pem())
}

/// A client in code, still without a method.
fn in_code(idaas: &TestIdaas) -> IdaasBuilder {
    trusting(idaas)
        .instance_id(TestIdaas::INSTANCE_ID)
        .client_id(idaas.client_id())
        .issuer(idaas.issuer())
        .token_endpoint(idaas.token_endpoint())
        .scope(idaas.scope().as_str())
}

fn value(text: &str) -> SecretSource {
    SecretSource::value(text.to_owned())
}

async fn refused(idaas: &Idaas) -> Error {
    let error = idaas.token().await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("invalid_client")), "{error}");
    assert!(!error.to_string().contains("eyJ"), "{error}");
    error
}

#[tokio::test]
async fn each_method_gets_a_token_from_the_vendors_file() {
    for method in METHODS {
        let idaas = TestIdaas::builder().allow(method).start().await.unwrap();
        let (builder, _directory) = client(&idaas, method);
        let client = builder.build().unwrap();
        client.prefetch().await.unwrap();
        let request = &idaas.requests()[0];
        assert_eq!(request.client_authentication, Some(method));
        assert_eq!((idaas.tokens_issued(), idaas.rejected_requests()), (1, 0));
        assert!(!request.field_names.contains(&"client_secret".to_owned()));
    }
}

#[tokio::test]
async fn each_attempt_makes_an_assertion_of_its_own() {
    for method in METHODS {
        let clock = ManualClock::new();
        let idaas = TestIdaas::builder().clock(clock.clone()).start().await.unwrap();
        let (builder, _directory) = client(&idaas, method);
        let client = builder.clock(clock.clone()).build().unwrap();
        // The server refuses an assertion that it has seen before.
        for issued in 1..=3 {
            client.prefetch().await.unwrap();
            assert_eq!((idaas.tokens_issued(), idaas.rejected_requests()), (issued, 0), "{method}");
            clock.advance(Duration::from_secs(1201));
        }
        // Nor is one sent again whose answer was lost on the way.
        idaas.behave_once(Behaviour::CutMidBody);
        client.prefetch().await.unwrap();
        assert_eq!((idaas.tokens_issued(), idaas.rejected_requests()), (5, 0), "{method}");
    }
}

#[tokio::test]
async fn a_wrong_secret_or_key_is_refused() {
    let idaas = TestIdaas::start().await.unwrap();
    let other = TestIdaas::start().await.unwrap();
    refused(&in_code(&idaas).authenticator(ClientSecretJwt::new(value("wrong"))).build().unwrap()).await;
    for (key, _) in KEYS {
        let error =
            refused(&in_code(&idaas).authenticator(PrivateKeyJwt::new(value(key))).build().unwrap()).await;
        assert!(error.to_string().contains("not signed with a registered key"), "{error}");
    }
    let certificates = other.certify(golden!("ec_p256.pkcs8.pem")).unwrap();
    let pca = |name: &str, certificates: &str, key: &str| {
        in_code(&idaas).authenticator(Pca::new(name, value(certificates), value(key))).build().unwrap()
    };
    let name = TestIdaas::FEDERATED_CREDENTIAL;
    let key = golden!("ec_p256.pkcs8.pem");
    let error = refused(&pca(name, &certificates, key)).await;
    assert!(error.to_string().contains("the client certificate is not trusted"), "{error}");
    let certificates = idaas.certify(key).unwrap();
    let error = refused(&pca("another-credential", &certificates, key)).await;
    assert!(error.to_string().contains("no federated credential"), "{error}");
    let alone = certificates.split_inclusive("-----END CERTIFICATE-----").next().unwrap();
    refused(&pca(name, alone, key)).await;
    let signer = Own::new(golden!("ec_p256.pkcs8.pem"));
    let foreign = idaas.certify(idaas.private_key_pem().expose_secret()).unwrap();
    let error =
        refused(&in_code(&idaas).authenticator(Pca::new(name, value(&foreign), signer)).build().unwrap())
            .await;
    assert!(error.to_string().contains("not signed with the certificate's key"), "{error}");
    assert_eq!(idaas.tokens_issued(), 0);
    pca(name, &certificates, key).prefetch().await.unwrap();
}

#[tokio::test]
async fn every_algorithm_is_verified_by_the_other_side() {
    let mut builder = TestIdaas::builder();
    for (_, public) in KEYS {
        builder = builder.public_key(public);
    }
    let idaas = builder.start().await.unwrap();
    for (key, _) in KEYS {
        in_code(&idaas)
            .authenticator(PrivateKeyJwt::new(value(key)))
            .build()
            .unwrap()
            .prefetch()
            .await
            .unwrap();
    }
    for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Rs384, SigningAlgorithm::Rs512] {
        let builder =
            in_code(&idaas).authenticator(PrivateKeyJwt::new(value(KEYS[0].0)).algorithm(algorithm));
        builder.build().unwrap().prefetch().await.unwrap();
    }
    let pkcs8 = [golden!("rsa2048.pkcs8.pem"), golden!("ec_p384.pkcs8.pem"), golden!("ec_p521.pkcs8.pem")];
    for key in pkcs8 {
        let certificates = value(&idaas.certify(key).unwrap());
        let builder = in_code(&idaas).authenticator(Pca::new(
            TestIdaas::FEDERATED_CREDENTIAL,
            certificates,
            value(key),
        ));
        builder.build().unwrap().prefetch().await.unwrap();
    }
    assert_eq!((idaas.tokens_issued(), idaas.rejected_requests()), (12, 0));
}

/// A signer that holds its key where the crate cannot see it.
#[derive(Debug)]
struct Own(EcdsaKeyPair);

impl Own {
    fn new(pem: &str) -> Self {
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let pkcs8 = STANDARD.decode(base64).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).unwrap())
    }
}

impl AssertionSigner for Own {
    fn algorithm(&self) -> SigningAlgorithm {
        SigningAlgorithm::Es256
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(self.0.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec())
        })
    }
}

#[tokio::test]
async fn a_signer_of_ones_own_serves_both_methods() {
    let pem = golden!("ec_p256.pkcs8.pem");
    let idaas = TestIdaas::builder().public_key(golden!("ec_p256.pub.pem")).start().await.unwrap();
    in_code(&idaas)
        .authenticator(PrivateKeyJwt::new(Own::new(pem)))
        .build()
        .unwrap()
        .prefetch()
        .await
        .unwrap();
    let certificates = value(&idaas.certify(pem).unwrap());
    let builder =
        in_code(&idaas).authenticator(Pca::new(TestIdaas::FEDERATED_CREDENTIAL, certificates, Own::new(pem)));
    builder.build().unwrap().prefetch().await.unwrap();
    assert_eq!(idaas.tokens_issued(), 2);
}

/// A test IDaaS and a clock that both sides share.
async fn clocked() -> (TestIdaas, ManualClock) {
    let clock = ManualClock::new();
    (TestIdaas::builder().clock(clock.clone()).start().await.unwrap(), clock)
}

const PAST_A_TOKENS_LIFE: Duration = Duration::from_secs(1201);

#[tokio::test]
async fn a_rotated_secret_is_used_at_the_next_refresh_from_variable_and_file() {
    let (idaas, clock) = clocked().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    std::fs::write(&path, idaas.secret().expose_secret()).unwrap();
    let variables = idaas.environment();
    let builder = || in_code(&idaas).clock(clock.clone()).environment(variables.clone());
    let of_variable =
        builder().authenticator(ClientSecretJwt::new(SecretSource::variable(TestIdaas::SECRET_VARIABLE)));
    let of_file = builder().authenticator(ClientSecretJwt::new(SecretSource::file(&path)));
    let clients = [of_variable.build().unwrap(), of_file.build().unwrap()];
    for client in &clients {
        client.prefetch().await.unwrap();
    }
    idaas.set_secret("another");
    variables.set(TestIdaas::SECRET_VARIABLE, "another");
    std::fs::write(&path, "another\n").unwrap();
    clock.advance(PAST_A_TOKENS_LIFE);
    for client in &clients {
        client.prefetch().await.unwrap();
    }
    assert_eq!((idaas.tokens_issued(), idaas.rejected_requests()), (4, 0));
}

#[tokio::test]
async fn a_rotated_private_key_is_used_at_the_next_refresh_from_variable_and_file() {
    let (idaas, clock) = clocked().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    std::fs::write(&path, idaas.private_key_pem().expose_secret()).unwrap();
    let variables = idaas.environment();
    let builder = || in_code(&idaas).clock(clock.clone()).environment(variables.clone());
    let of_variable =
        builder().authenticator(PrivateKeyJwt::new(SecretSource::variable(TestIdaas::PRIVATE_KEY_VARIABLE)));
    let of_file = builder().authenticator(PrivateKeyJwt::new(SecretSource::file(&path)));
    let clients = [of_variable.build().unwrap(), of_file.build().unwrap()];
    for client in &clients {
        client.prefetch().await.unwrap();
    }
    for (round, (key, public)) in KEYS.into_iter().enumerate() {
        idaas.set_public_key(public).unwrap();
        variables.set(TestIdaas::PRIVATE_KEY_VARIABLE, key);
        std::fs::write(&path, key).unwrap();
        clock.advance(PAST_A_TOKENS_LIFE);
        for client in &clients {
            client.prefetch().await.unwrap();
        }
        assert_eq!((idaas.tokens_issued(), idaas.rejected_requests()), (2 * (round + 2), 0));
    }
}

#[tokio::test]
async fn renewed_certificates_are_shown_at_the_next_refresh() {
    let (idaas, clock) = clocked().await;
    let directory = tempfile::tempdir().unwrap();
    let (certificates, key) = (directory.path().join("fullchain.pem"), directory.path().join("key.pem"));
    let renew = |pem: &str| {
        std::fs::write(&key, pem).unwrap();
        std::fs::write(&certificates, idaas.certify(pem).unwrap()).unwrap();
    };
    renew(golden!("rsa2048.pkcs8.pem"));
    let files = (SecretSource::file(&certificates), SecretSource::file(&key));
    let builder = in_code(&idaas).clock(clock.clone());
    let client =
        builder.authenticator(Pca::new(TestIdaas::FEDERATED_CREDENTIAL, files.0, files.1)).build().unwrap();
    client.prefetch().await.unwrap();
    renew(golden!("ec_p521.pkcs8.pem"));
    clock.advance(PAST_A_TOKENS_LIFE);
    client.prefetch().await.unwrap();
    // Only one of the two is renewed: nothing is sent, and the message says why.
    std::fs::write(&key, golden!("ec_p256.pkcs8.pem")).unwrap();
    clock.advance(PAST_A_TOKENS_LIFE);
    let error = client.prefetch().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Credential && error.to_string().contains("does not match"), "{error}");
    assert_eq!(idaas.token_requests(), 2);
}

#[tokio::test]
async fn a_key_that_changes_while_it_is_refused_is_tried_at_once() {
    let idaas = TestIdaas::builder().public_key(golden!("ec_p384.pub.pem")).start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    std::fs::write(&path, golden!("ec_p256.pkcs8.pem")).unwrap();
    let client =
        in_code(&idaas).authenticator(PrivateKeyJwt::new(SecretSource::file(&path))).build().unwrap();
    idaas.behave_once(Behaviour::Hold);
    let (result, ()) = tokio::join!(client.prefetch(), async {
        idaas.wait_for_held(1).await;
        std::fs::write(&path, golden!("ec_p384.pkcs8.pem")).unwrap();
        idaas.release();
    });
    result.unwrap();
    assert_eq!((idaas.token_requests(), idaas.rejected_requests(), idaas.tokens_issued()), (2, 1, 1));
}
