//! Configuration files, their values, and environment variables.

use serde_json::{Value, json};
use tower_idaas::authn::ClientSecretPost;
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::explanation::Route;
use tower_idaas::{ConfigError, Idaas, SecretSource};

use super::{
    CERTIFICATE, KEY, SECRET, Server, Watch, assert_faults_readable, assert_hidden, assert_readable, client,
    repository_file, shown, split,
};

/// Every key of the file, and a method that reads it.
const KEYS: [(&str, &str); 30] = [
    ("/idaasInstanceId", "PRIVATE_KEY_JWT"),
    ("/clientId", "PRIVATE_KEY_JWT"),
    ("/issuer", "PRIVATE_KEY_JWT"),
    ("/tokenEndpoint", "PRIVATE_KEY_JWT"),
    ("/scope", "PRIVATE_KEY_JWT"),
    ("/openApiEndpoint", "PLUGIN"),
    ("/developerApiEndpoint", "PRIVATE_KEY_JWT"),
    ("/deviceAuthorizationEndpoint", "PRIVATE_KEY_JWT"),
    ("/authnConfiguration/identityType", "PRIVATE_KEY_JWT"),
    ("/authnConfiguration/authnMethod", ""),
    ("/authnConfiguration/clientSecretEnvVarName", "CLIENT_SECRET_POST"),
    ("/authnConfiguration/clientSecretFilePath", "CLIENT_SECRET_BASIC"),
    ("/authnConfiguration/privateKeyEnvVarName", "PRIVATE_KEY_JWT"),
    ("/authnConfiguration/privateKeyFilePath", "PRIVATE_KEY_JWT"),
    ("/authnConfiguration/privateKeyPassphraseEnvVarName", "PRIVATE_KEY_JWT"),
    ("/authnConfiguration/privateKeyId", "PRIVATE_KEY_JWT"),
    ("/authnConfiguration/signingAlgorithm", "PRIVATE_KEY_JWT"),
    ("/authnConfiguration/applicationFederatedCredentialName", "PCA"),
    ("/authnConfiguration/clientDeployEnvironment", "PKCS7"),
    ("/authnConfiguration/clientDeployEnvironment", "OIDC"),
    ("/authnConfiguration/oidcTokenFilePath", "OIDC"),
    ("/authnConfiguration/oidcTokenFilePathEnvVarName", "OIDC"),
    ("/authnConfiguration/clientX509Certificate", "PCA"),
    ("/authnConfiguration/clientX509CertificatePath", "PCA"),
    ("/authnConfiguration/x509CertChains", "PCA"),
    ("/authnConfiguration/x509CertChainsPath", "PCA"),
    ("/authnConfiguration/pluginName", "PLUGIN"),
    ("/httpConfiguration/connectTimeout", "PRIVATE_KEY_JWT"),
    ("/httpConfiguration/readTimeout", "PRIVATE_KEY_JWT"),
    ("/httpConfiguration/unsafeIgnoreSslCert", "PRIVATE_KEY_JWT"),
];

/// A whole configuration, with this as one of its values.
fn configuration_with((pointer, method): (&str, &str), value: Value) -> String {
    let mut authn = json!({
        "identityType": "CLIENT",
        "authnMethod": method,
        "clientSecretEnvVarName": "APP_SECRET",
        "privateKeyEnvVarName": "KEY",
        "applicationFederatedCredentialName": "credential",
        "clientDeployEnvironment": if method == "OIDC" { "KUBERNETES" } else { "ALIBABA_CLOUD_ECS" },
        "clientX509Certificate": CERTIFICATE,
        "pluginName": "alibabacloudPluginCredentialProvider",
    });
    // A path beside a variable or a text would be one fault, whatever it is.
    for (path, beside) in [
        ("/authnConfiguration/clientSecretFilePath", "clientSecretEnvVarName"),
        ("/authnConfiguration/privateKeyFilePath", "privateKeyEnvVarName"),
        ("/authnConfiguration/clientX509CertificatePath", "clientX509Certificate"),
    ] {
        if pointer == path {
            authn.as_object_mut().unwrap().remove(beside);
        }
    }
    let mut config = json!({
        "idaasInstanceId": "idaas_1",
        "clientId": "app_1",
        "issuer": "https://tenant.example.com",
        "tokenEndpoint": "https://tenant.example.com/token",
        "scope": "api://a|read",
        "openApiEndpoint": "eiam.cn-hangzhou.aliyuncs.com",
        "authnConfiguration": authn,
        "httpConfiguration": { "connectTimeout": 5000, "readTimeout": 10000, "unsafeIgnoreSslCert": false },
    });
    let (section, key) = pointer.rsplit_once('/').unwrap();
    config.pointer_mut(section).unwrap()[key] = value;
    config.to_string()
}

fn environment() -> ManualEnvironment {
    ManualEnvironment::from_iter([("APP_SECRET", SECRET), ("KEY", KEY)])
}

/// A client from the text of a file.
pub fn client_of(text: impl Into<String>) -> Result<Idaas, ConfigError> {
    Server::good().serve(Idaas::builder().config_text(text.into()).environment(environment())).build()
}

/// The first byte says what the rest is: the text of a configuration file, the value of one of its keys as text or as
/// JSON, or such a value behind a secret that stands where it does not belong.
pub fn configuration(input: &[u8]) {
    let _watch = Watch::start();
    let (choice, rest) = split(input);
    let text = String::from_utf8_lossy(rest).into_owned();
    let key = KEYS[choice / 4 % KEYS.len()];
    let value = || serde_json::from_str(&text).unwrap_or(Value::from(text.as_str()));
    let built = match choice % 4 {
        0 => client_of(text.as_str()),
        1 => client_of(configuration_with(key, Value::from(text.as_str()))),
        2 => client_of(configuration_with(key, value())),
        _ => client_of(configuration_with(key, Value::from(format!("{SECRET}{text}")))),
    };
    if let Err(error) = built {
        assert_faults_readable(&error);
        assert_hidden(&shown(&error), input);
    }
}

/// The value of a variable that the built-in client reads, or that leads to the configuration or a token. The first
/// byte says which, and whether the value stands behind a secret that does not belong there.
pub fn environment_variable(input: &[u8]) {
    let _watch = Watch::start();
    const NAMES: [&str; 6] =
        ["HTTPS_PROXY", "all_proxy", "NO_PROXY", "SSL_CERT_FILE", "CLOUD_IDAAS_CONFIG_PATH", "TOKEN_FILE"];
    let (choice, rest) = split(input);
    let (name, text) = (NAMES[choice / 2 % NAMES.len()], String::from_utf8_lossy(rest));
    let value = if choice % 2 == 0 { text.into_owned() } else { format!("{SECRET}{text}") };
    let environment = environment();
    environment.set("SSL_CERT_FILE", repository_file("tests/golden/keys/pca_root.cert.pem"));
    environment.set("HTTPS_PROXY", "proxy.example:3128");
    if name == "all_proxy" {
        environment.remove("HTTPS_PROXY");
    }
    environment.set(name, &*value);
    let builder = match name {
        "CLOUD_IDAAS_CONFIG_PATH" => Idaas::builder().config_from_env(),
        "TOKEN_FILE" => Idaas::builder().config_text(configuration_with(
            ("/authnConfiguration/oidcTokenFilePathEnvVarName", "OIDC"),
            name.into(),
        )),
        _ => client().authenticator(ClientSecretPost::new(SecretSource::variable("APP_SECRET"))),
    };
    let builder = builder.environment(environment);
    // A proxy is judged when it is needed, so not by `build`. The host of one that can be used is no secret.
    let route = builder.explain().route(&"https://tenant.example.com/token".parse().unwrap());
    if let Route::Unusable(fault) = route {
        assert_readable(&fault.to_string());
        assert_hidden(&format!("{fault} {fault:?}"), input);
    }
    if let Err(error) = builder.build() {
        assert_faults_readable(&error);
        assert_hidden(&shown(&error), input);
    }
}
