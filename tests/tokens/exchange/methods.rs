//! Token exchange with each method of client authentication, and with a credential that is wrong.

use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{ErrorKind, Idaas, SubjectToken};
use tower_idaas_testing::{ClientAuthentication, MetadataDocument, MetadataService, TestIdaas};

pub(crate) const METHODS: [ClientAuthentication; 7] = [
    ClientAuthentication::SecretBasic,
    ClientAuthentication::SecretPost,
    ClientAuthentication::SecretJwt,
    ClientAuthentication::PrivateKeyJwt,
    ClientAuthentication::Pca,
    ClientAuthentication::Oidc,
    ClientAuthentication::Pkcs7,
];

/// Everything that any of the methods needs.
pub(crate) struct Fixture {
    pub(crate) server: TestIdaas,
    metadata: MetadataService,
    folder: tempfile::TempDir,
}

impl Fixture {
    /// An issuer that takes this method only.
    pub(crate) async fn new(method: ClientAuthentication) -> Self {
        let server = TestIdaas::builder().allow(method).start().await.unwrap();
        let metadata = server.start_metadata_service().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        server.write_service_account_token(folder.path()).unwrap();
        Self { server, metadata, folder }
    }

    pub(crate) fn client(&self, config: String, environment: ManualEnvironment) -> Idaas {
        let path = self.folder.path().join("client-config.json");
        std::fs::write(&path, config).unwrap();
        Idaas::builder()
            .config_file(path)
            .environment(environment)
            .metadata_address(self.metadata.address())
            .root_certificate(self.server.root_certificate_pem())
            .build()
            .unwrap()
    }

    pub(crate) fn caller(&self, user: &str) -> SubjectToken {
        let inbound = "api://front|call".parse().unwrap();
        SubjectToken::access_token(self.server.user_token(user, &inbound).unwrap())
    }

    /// A client with a credential of this method that the issuer refuses.
    async fn wrong_client(&self, method: ClientAuthentication) -> Idaas {
        let mut config = self.server.client_config(method);
        let mut environment = self.server.environment();
        match method {
            ClientAuthentication::PrivateKeyJwt => {
                self.server.set_public_key(include_str!("../../golden/keys/ec_p256.pub.pem")).unwrap();
            }
            ClientAuthentication::Pca => {
                // Key and certificate of another issuer's, which fit each other but not this one.
                let stranger = TestIdaas::start().await.unwrap();
                config = stranger.client_config(method).replace(stranger.issuer(), self.server.issuer());
                environment = stranger.environment();
            }
            ClientAuthentication::Oidc => {
                let path = self.server.write_service_account_token(self.folder.path()).unwrap();
                let token = self.server.service_account_token().subject("system:serviceaccount:x:other");
                token.write_to(path).unwrap();
            }
            ClientAuthentication::Pkcs7 => {
                self.metadata.set_document(MetadataDocument::Tampered);
            }
            _ => environment.set(TestIdaas::SECRET_VARIABLE, "another-secret"),
        }
        self.client(config, environment)
    }
}

#[tokio::test]
async fn each_method_exchanges_and_its_tokens_are_kept_apart_from_the_clients_own() {
    for method in METHODS {
        let fixture = Fixture::new(method).await;
        let idaas = fixture.client(fixture.server.client_config(method), fixture.server.environment());
        let own = idaas.token().await.unwrap();
        let caller = fixture.caller("user_1");
        let exchanged = idaas.exchange(&caller).await.unwrap();
        assert_ne!(own.expose_token(), exchanged.expose_token(), "{method}");
        assert_eq!(idaas.exchange(&caller).await.unwrap().expose_token(), exchanged.expose_token());
        idaas.exchange(&fixture.caller("user_2")).await.unwrap();

        let requests = fixture.server.requests();
        assert_eq!((requests.len(), fixture.server.rejected_requests()), (3, 0), "{method}");
        for request in &requests {
            assert_eq!(request.client_authentication, Some(method));
        }
        for request in requests.iter().skip(1) {
            assert!(request.field_names.contains(&"subject_token".to_owned()), "{method}");
        }
    }
}

#[tokio::test]
async fn with_a_wrong_credential_nothing_is_exchanged_and_the_error_shows_neither() {
    for method in METHODS {
        let fixture = Fixture::new(method).await;
        let idaas = fixture.wrong_client(method).await;
        let caller = fixture.server.user_token("user_1", &"api://front|call".parse().unwrap()).unwrap();
        let error = idaas.exchange(&SubjectToken::access_token(caller.clone())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{method}: {error}");
        assert_eq!(error.code(), Some("invalid_client"), "{method}: {error}");
        assert!(!error.is_transient(), "{method}");
        assert_eq!(fixture.server.tokens_issued(), 0, "{method}");
        let shown = format!("{error} {error:?}");
        for secret in [caller.expose_secret(), "another-secret", "eyJ", "MII"] {
            assert!(!shown.contains(secret), "{method}: {shown}");
        }
    }
}
