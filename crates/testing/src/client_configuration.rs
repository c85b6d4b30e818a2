//! What a client of a test IDaaS is configured with: file, variables, keys.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use serde_json::{Map, Value, json};

use crate::idaas::TestIdaas;
use crate::issuer::client_authentication::ClientAuthentication;
use crate::issuer::service_account::ServiceAccountToken;
use crate::names;
use tower_idaas::Idaas;
use tower_idaas::IdaasBuilder;
use tower_idaas::authn::ClientSecretPost;
use tower_idaas::clock::Clock;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{Secret, SecretSource};

/// What clients are configured with.
impl TestIdaas {
    /// The name of the environment variable that holds the client's secret, in
    /// [`client_config`](Self::client_config) and [`environment`](Self::environment).
    pub const SECRET_VARIABLE: &str = names::SECRET_VARIABLE;

    /// The name of the environment variable that holds the client's private key, likewise.
    pub const PRIVATE_KEY_VARIABLE: &str = names::PRIVATE_KEY_VARIABLE;

    /// The instance id in [`client_config`](Self::client_config).
    pub const INSTANCE_ID: &str = names::INSTANCE_ID;

    /// The text of a `client-config.json` for this server and this method of authentication.
    pub fn client_config(&self, method: ClientAuthentication) -> String {
        let config = json!({
            "idaasInstanceId": Self::INSTANCE_ID,
            "clientId": self.client_id(),
            "issuer": self.issuer(),
            "tokenEndpoint": self.token_endpoint(),
            "scope": self.scope().as_str(),
            "authnConfiguration": self.authn_configuration(method),
        });
        format!("{config:#}")
    }

    /// The builder of a handle whose tokens are from here: with what [`client_config`](Self::client_config) says,
    /// CLIENT_SECRET_POST, this server's certificate and, if that is a `ManualClock`, its clock. Of variables it sees
    /// those of [`environment`](Self::environment) as they are now, and none of the process. The builder's methods replace
    /// each of these.
    ///
    /// ```
    /// # use tower_idaas_testing::TestIdaas;
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), tower_idaas::BoxError> {
    /// let server = TestIdaas::start().await?;
    /// let idaas = server.handle().scope("api://orders|read").build()?;
    /// idaas.prefetch().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn handle(&self) -> IdaasBuilder {
        let builder = Idaas::builder()
            .environment(self.environment())
            .instance_id(Self::INSTANCE_ID)
            .client_id(self.client_id())
            .issuer(self.issuer())
            .token_endpoint(self.token_endpoint())
            .scope(self.scope().as_str())
            .authenticator(ClientSecretPost::new(SecretSource::variable(Self::SECRET_VARIABLE)))
            .root_certificate(self.root_certificate_pem());
        match &self.service.endpoint.clock {
            Clock::System => builder,
            Clock::Manual(clock) => builder.clock(clock.clone()),
        }
    }

    fn authn_configuration(&self, method: ClientAuthentication) -> Value {
        let mut config = Map::new();
        let mut set = |key: &str, value: &str| drop(config.insert(key.to_owned(), value.into()));
        set("identityType", "CLIENT");
        set("authnMethod", method.as_str());
        for (key, value) in method.configuration() {
            set(key, value);
        }
        if method == ClientAuthentication::Pca {
            // Made once with a key that is good; there is nothing left to fail.
            let (leaf, chain) = self.service.endpoint.client.keys().certificates().unwrap_or_default();
            set("clientX509Certificate", &leaf);
            set("x509CertChains", &chain);
        }
        Value::Object(config)
    }

    /// Writes [`client_config`](Self::client_config) to `client-config.json` in the directory, and says
    /// where that is.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write_config(
        &self,
        directory: impl AsRef<Path>,
        method: ClientAuthentication,
    ) -> io::Result<PathBuf> {
        let path = directory.as_ref().join("client-config.json");
        std::fs::write(&path, self.client_config(method))?;
        Ok(path)
    }

    /// New environment variables that hold the client's present secret, its private key, the path of the file
    /// that [`write_service_account_token`](Self::write_service_account_token) has written, if it has, and
    /// nothing else.
    pub fn environment(&self) -> ManualEnvironment {
        let environment = ManualEnvironment::from_iter([
            (Self::SECRET_VARIABLE, self.secret().expose_secret()),
            (Self::PRIVATE_KEY_VARIABLE, self.private_key_pem().expose_secret()),
        ]);
        if let Some(path) = &*self.token_file.lock().unwrap_or_else(PoisonError::into_inner) {
            environment.set(Self::TOKEN_FILE_VARIABLE, path);
        }
        environment
    }

    /// A private key that was made for this client, EC on P-256, as PEM. Its public half is registered unless
    /// others are given, and the certificate in [`client_config`](Self::client_config) is for it.
    pub fn private_key_pem(&self) -> Secret {
        self.service.endpoint.client.keys().private_key_pem()
    }

    /// Registers this public key, as PEM, in place of all earlier ones: an assertion signed with the private half of an
    /// earlier one is refused at once.
    ///
    /// # Errors
    ///
    /// If it is not a public key in PEM form.
    pub fn set_public_key(&self, pem: &str) -> io::Result<()> {
        self.service.endpoint.client.keys().set(pem)
    }

    /// A new certificate for this private key, and behind it the intermediate one that signed it, as PEM: what
    /// a client shows with `PCA`.
    ///
    /// # Errors
    ///
    /// If it is not a private key in PEM form.
    pub fn certify(&self, private_key_pem: &str) -> io::Result<String> {
        let (leaf, chain) = self.service.endpoint.client.keys().certify(private_key_pem)?;
        Ok(format!("{leaf}{chain}"))
    }
}

/// Federated credentials: OIDC and PKCS7.
impl TestIdaas {
    /// The name of the federated credential that the token endpoint knows.
    pub const FEDERATED_CREDENTIAL: &str = names::FEDERATED_CREDENTIAL;

    /// The name of the environment variable that holds the path of the service account's token, in
    /// [`client_config`](Self::client_config) and [`environment`](Self::environment).
    pub const TOKEN_FILE_VARIABLE: &str = names::TOKEN_FILE_VARIABLE;

    /// A token of a Kubernetes service account that this IDaaS trusts, to be issued.
    pub fn service_account_token(&self) -> ServiceAccountToken<'_> {
        self.service.endpoint.client.federation().service_accounts.token()
    }

    /// Writes a [`service_account_token`](Self::service_account_token) to `service-account-token` in the
    /// directory, and says where that is. Environments made from now on name the file.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write_service_account_token(&self, directory: impl AsRef<Path>) -> io::Result<PathBuf> {
        let path = directory.as_ref().join("service-account-token");
        self.service_account_token().write_to(&path)?;
        *self.token_file.lock().unwrap_or_else(PoisonError::into_inner) = Some(path.clone());
        Ok(path)
    }
}
