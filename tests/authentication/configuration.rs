//! From a file, from variables, from code: what a configuration comes to, through the public API.

use std::path::PathBuf;
use std::time::Duration;

use crate::support::{builder, chain};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower_idaas::authn::{Authenticator, CheckContext, TokenRequest, authenticator_fn};
use tower_idaas::authn::{ClientSecretBasic, ClientSecretPost};
use tower_idaas::environment::ManualEnvironment;
use tower_idaas::{
    BoxFuture, ConfigError, ConfigFault, Error, Idaas, IdaasBuilder, Scope, SecretSource, TokenResponse,
    TokenSource,
};
use tower_idaas_testing::{ClientAuthentication, TestIdaas};

const MARKER: &str = "hunter2";

fn good() -> Value {
    json!({
        "idaasInstanceId": "idaas_1",
        "clientId": "app_1",
        "issuer": "https://tenant.example.com/api/v2/iauths_system/oauth2",
        "tokenEndpoint": "https://tenant.example.com/api/v2/iauths_system/oauth2/token",
        "scope": "api.example.com|read:file",
        "authnConfiguration": {
            "authnMethod": "CLIENT_SECRET_POST",
            "clientSecretEnvVarName": "APP_SECRET",
        },
    })
}

/// The good file without this key, or with another value for it.
fn with(path: &str, value: Option<Value>) -> String {
    let mut config = good();
    let (object, key) = match path.split_once('.') {
        Some((section, key)) => (&mut config[section], key),
        None => (&mut config, path),
    };
    match value {
        Some(value) => object[key] = value,
        None => drop(object.as_object_mut().unwrap().remove(key)),
    }
    config.to_string()
}

struct File {
    _folder: TempDir,
    path: PathBuf,
}

impl File {
    fn new(bytes: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client-config.json");
        std::fs::write(&path, bytes).unwrap();
        Self { _folder: folder, path }
    }

    fn builder(&self) -> IdaasBuilder {
        let environment = ManualEnvironment::from_iter([("APP_SECRET", MARKER)]);
        Idaas::builder().config_file(&self.path).environment(environment)
    }

    /// The faults, in a report that names the file and shows no secret.
    fn faults(&self, builder: IdaasBuilder) -> ConfigError {
        let error = builder.build().unwrap_err();
        let shown = format!("{error} {error:#} {error:?} {}", chain(&error));
        assert!(shown.contains(&*self.path.to_string_lossy()), "{error}");
        assert!(!shown.contains(MARKER), "{shown}");
        error
    }
}

fn keys(error: &ConfigError) -> Vec<&str> {
    error.faults().iter().map(|fault| fault.key()).collect()
}

#[test]
fn every_fault_is_reported_with_its_key_and_what_was_expected() {
    const METHOD: &str = "authnConfiguration.authnMethod";
    const SECRET_NAME: &str = "authnConfiguration.clientSecretEnvVarName";
    for (key, value, reason) in [
        ("idaasInstanceId", None, "is missing"),
        ("clientId", None, "is missing"),
        ("issuer", None, "is missing"),
        ("tokenEndpoint", None, "is missing"),
        ("authnConfiguration", None, "is missing"),
        (METHOD, None, "is missing"),
        (SECRET_NAME, None, "is missing"),
        ("clientId", Some(json!("")), "is blank"),
        ("idaasInstanceId", Some(json!("  ")), "is blank"),
        (SECRET_NAME, Some(json!("")), "is blank"),
        ("clientId", Some(json!(null)), "expected"),
        ("clientId", Some(json!(123)), "expected a string, found a number"),
        ("scope", Some(json!(["a|b"])), "expected a string, found an array"),
        ("tokenEndpoint", Some(json!(5)), "expected a string"),
        ("authnConfiguration", Some(json!([])), "expected an object"),
        ("httpConfiguration", Some(json!("x")), "expected an object"),
        (METHOD, Some(json!("FOO")), "CLIENT_SECRET_BASIC"),
        (METHOD, Some(json!("client_secret_post")), "did you mean `CLIENT_SECRET_POST`?"),
        ("authnConfiguration.identityType", Some(json!("FOO")), "expected CLIENT"),
        ("scope", Some(json!("a|x b|y")), "one audience"),
        ("scope", Some(json!("a|b|c")), "expected"),
        ("tokenEndpoint", Some(json!("ftp://tenant.example.com/")), "scheme other than https"),
        ("tokenEndpoint", Some(json!("https://")), "has no host"),
        ("tokenEndpoint", Some(json!("https://user:hunter2@h.example/")), "user name or password"),
        ("tokenEndpoint", Some(json!("https://h.example/\nhunter2")), "no URL may hold"),
        ("issuer", Some(json!("abc")), "is not a URL"),
        ("httpConfiguration", Some(json!({ "connectTimeout": 0 })), "from 2000 to 60000"),
        ("httpConfiguration", Some(json!({ "readTimeout": 60001 })), "from 2000 to 60000"),
        ("httpConfiguration", Some(json!({ "connectTimeout": "5000" })), "an integer number of milliseconds"),
        (SECRET_NAME, Some(json!("UNSET_VARIABLE")), "environment variable UNSET_VARIABLE is not set"),
    ] {
        let file = File::new(with(key, value));
        let error = file.faults(file.builder());
        let [fault] = error.faults() else { panic!("{key}: {error}") };
        assert!(fault.key().starts_with(key), "{error}");
        assert!(fault.to_string().contains(reason), "{reason} is missing in: {error}");
    }
}

#[test]
fn every_method_of_the_vendor_is_known_be_it_supported_or_not() {
    for method in
        ["CLIENT_SECRET_BASIC", "CLIENT_SECRET_JWT", "PRIVATE_KEY_JWT", "PKCS7", "OIDC", "PCA", "PLUGIN"]
    {
        let file = File::new(with("authnConfiguration.authnMethod", Some(json!(method))));
        let Err(error) = file.builder().build() else { continue };
        for fault in error.faults() {
            let is_about_method = fault.key().ends_with("authnMethod");
            let reason = if is_about_method { "does not support yet" } else { "is missing" };
            assert!(fault.to_string().contains(reason), "{method}: {fault}");
        }
    }
}

#[test]
fn files_that_are_no_configuration_are_reported_by_path_and_reason() {
    for (bytes, reason) in [
        (&b""[..], "is empty"),
        (b"[]", "expected a JSON object, found an array"),
        (b"null", "expected a JSON object, found null"),
        (b"{'clientId': 1}", "at column 2"),
        (b"{\"clientId\": \"\xff\"}", "is not UTF-8"),
        (b"\xff\xfe{\0}\0", "UTF-16"),
    ] {
        let file = File::new(bytes);
        let error = file.faults(file.builder());
        assert!(error.to_string().contains(reason), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.json");
    for (path, reason) in [(folder.path(), "is a directory"), (&missing, "does not exist")] {
        let error = Idaas::from_file(path).unwrap_err();
        assert!(error.to_string().contains(reason) && error.to_string().contains(&*path.to_string_lossy()));
    }
}

#[test]
fn all_faults_come_at_once_those_of_the_transport_included() {
    let file = File::new(
        r#"{"clientID": "app_1", "issuer": "", "tokenEndpoint": 5, "scope": "a|",
            "authnConfiguration": {"authnMethod": "FOO"}, "httpConfiguration": {"readTimeout": 1}}"#,
    );
    let environment =
        ManualEnvironment::from_iter([("APP_SECRET", MARKER), ("SSL_CERT_FILE", "/nonexistent/roots.pem")]);
    let error = file.faults(file.builder().environment(environment));
    let found = keys(&error);
    for key in [
        "idaasInstanceId",
        "clientId",
        "issuer",
        "tokenEndpoint",
        "scope",
        "authnConfiguration.authnMethod",
        "httpConfiguration.readTimeout",
        "clientID",
        "SSL_CERT_FILE",
    ] {
        assert!(found.contains(&key), "{key} is missing in: {error:#}");
    }
    assert_eq!(format!("{error:#}").lines().count(), 1 + error.faults().len());
}

#[tokio::test]
async fn what_people_write_is_understood() {
    let issuer = TestIdaas::start().await.unwrap();
    let text = issuer.client_config(ClientAuthentication::SecretPost);
    let lenient = text.replacen('{', "{ // the vendor's own example\n", 1).replace("\n}", ",\n} /* end */");
    for text in [text.clone(), format!("\u{feff}{text}"), lenient] {
        let file = File::new(&text);
        let builder = Idaas::builder().config_file(&file.path).environment(issuer.environment());
        let idaas = builder.root_certificate(issuer.root_certificate_pem()).build().expect(&text);
        idaas.token().await.unwrap();
    }
}

#[tokio::test]
async fn the_file_is_searched_where_the_vendor_searches_it() {
    let issuer = TestIdaas::start().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".cloud_idaas");
    std::fs::create_dir(&folder).unwrap();
    let build = |path: Option<&str>| {
        let environment = issuer.environment();
        environment.set("HOME", home.path().as_os_str());
        if let Some(path) = path {
            environment.set("CLOUD_IDAAS_CONFIG_PATH", path);
        }
        let builder = Idaas::builder().config_from_env().environment(environment);
        builder.root_certificate(issuer.root_certificate_pem()).build()
    };
    let error = build(None).unwrap_err().to_string();
    assert!(error.contains(".cloud_idaas/client-config.json: does not exist"), "{error}");
    assert!(error.contains("CLOUD_IDAAS_CONFIG_PATH"), "{error}");

    issuer.write_config(&folder, ClientAuthentication::SecretBasic).unwrap();
    build(None).unwrap().token().await.unwrap();
    build(Some("  ")).unwrap().token().await.unwrap();
    build(Some("~/.cloud_idaas/client-config.json")).unwrap().token().await.unwrap();
    assert_eq!(issuer.tokens_issued(), 3);

    // The variable wins, and a file that it names and that is not there is no reason to look elsewhere.
    let error = build(Some("/nonexistent/named.json")).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/named.json: does not exist"), "{error}");
}

#[tokio::test]
async fn code_needs_no_file_and_wins_over_one() {
    let issuer = TestIdaas::start().await.unwrap();
    builder(&issuer).build().unwrap().token().await.unwrap();

    let file = File::new(good().to_string());
    let idaas = builder(&issuer)
        .config_file(&file.path)
        .authenticator(ClientSecretBasic::new(SecretSource::value(issuer.secret())))
        .connect_timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    assert_eq!(idaas.token().await.unwrap().scope(), issuer.scope());
    let methods: Vec<_> = issuer.requests().iter().map(|request| request.client_authentication).collect();
    let expected = [ClientAuthentication::SecretPost, ClientAuthentication::SecretBasic];
    assert_eq!(methods, expected.map(Some));

    // What neither gives is a fault.
    let error =
        Idaas::builder().client_id("app_1").environment(ManualEnvironment::new()).build().unwrap_err();
    for key in ["idaasInstanceId", "issuer", "tokenEndpoint", "authnConfiguration"] {
        assert!(keys(&error).contains(&key), "{key} is missing in: {error}");
    }
}

#[tokio::test]
async fn the_text_of_a_file_does_for_the_file() {
    let issuer = TestIdaas::start().await.unwrap();
    let text = issuer.client_config(ClientAuthentication::SecretPost);
    let given = |text: String| {
        let builder = Idaas::builder().config_text(text).environment(issuer.environment());
        builder.root_certificate(issuer.root_certificate_pem())
    };
    given(format!("\u{feff}{text}")).build().unwrap().token().await.unwrap();
    let error = given(text.replace("clientId", MARKER)).build().unwrap_err();
    assert_eq!(keys(&error), ["clientId", MARKER]);
    assert!(given(" ".to_owned()).build().unwrap_err().to_string().contains("is empty"));
    assert!(!format!("{:?}", given(MARKER.to_owned())).contains(MARKER));
}

#[test]
fn faults_of_what_code_gives_are_found_as_well() {
    let file = File::new(good().to_string());
    for (builder, reason) in [
        (file.builder().scope("a|b|c"), "`scope`"),
        (file.builder().token_endpoint("ftp://x.example/"), "`tokenEndpoint`"),
        (file.builder().client_id(" "), "`clientId` is blank"),
        (file.builder().connect_timeout(Duration::ZERO), "connectTimeout` is zero"),
        (
            file.builder().authenticator(ClientSecretPost::new(SecretSource::variable("UNSET"))),
            "UNSET is not set",
        ),
        (file.builder().authenticator(ClientSecretPost::new(SecretSource::value(String::new()))), "is empty"),
        (
            file.builder().authenticator(ClientSecretBasic::new(SecretSource::file("/nonexistent/s"))),
            "/nonexistent/s",
        ),
    ] {
        let error = file.faults(builder);
        assert_eq!(error.faults().len(), 1, "{error}");
        assert!(error.to_string().contains(reason), "{reason} is missing in: {error}");
    }
}

#[derive(Debug)]
struct Sidecar;

impl TokenSource for Sidecar {
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<TokenResponse, Error>> {
        Box::pin(async move { TokenResponse::bearer(&format!("for-{}", scope.audience())) })
    }
}

#[tokio::test]
async fn a_token_source_needs_a_scope_and_nothing_else() {
    let idaas = Idaas::builder().token_source(Sidecar).scope("orders|read").build().unwrap();
    assert_eq!(idaas.token().await.unwrap().expose_token(), "for-orders");

    let error = Idaas::builder().token_source(Sidecar).build().unwrap_err();
    assert_eq!(keys(&error), ["scope"]);
    let error = Idaas::builder().token_source(Sidecar).scope("a|x b|y").build().unwrap_err();
    assert!(error.to_string().contains("one audience"), "{error}");
}

fn sources() -> IdaasBuilder {
    Idaas::builder().token_source(Sidecar).scope("orders|read").environment(ManualEnvironment::new())
}

fn secret() -> ClientSecretPost {
    ClientSecretPost::new(SecretSource::value(MARKER.to_owned()))
}

#[test]
fn what_contradicts_is_a_fault_and_nothing_set_is_silently_ignored() {
    let file = File::new(good().to_string());
    for (builder, key, reason) in [
        (sources().authenticator(secret()), "token_source", "beside `authenticator`"),
        (sources().plugin_name("mine"), "token_source", "beside `plugin_name`"),
        (sources().config_text(good().to_string()), "token_source", "beside a configuration file"),
        (sources().config_file("/nonexistent.json"), "token_source", "beside a configuration file"),
        (sources().config_from_env(), "token_source", "beside a configuration file"),
        (sources().issuer("ftp://x.example/"), "issuer", "scheme other than https"),
        (sources().client_id(" "), "clientId", "is blank"),
        (sources().read_timeout(Duration::ZERO), "httpConfiguration.readTimeout", "is zero"),
        (file.builder().authenticator(secret()).plugin_name("mine"), "plugin_name", "beside `authenticator`"),
        (
            file.builder().authenticator(secret()).metadata_address("http://127.0.0.1"),
            "metadata_address",
            "set it on the authenticator",
        ),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(keys(&error), [key], "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        assert!(!format!("{error:?}").contains(MARKER), "{error:?}");
    }
}

#[test]
fn a_handle_and_its_builder_show_client_method_and_scope() {
    let file = File::new(good().to_string());
    let idaas = format!("{:?}", file.builder().build().unwrap());
    let builder = format!("{:?}", file.builder().client_id("app_2").authenticator(secret()).scope("a|b"));
    let source = format!("{:?}", sources().client_id("app_3").build().unwrap());
    for (shown, parts) in [
        (&idaas, ["app_1", "CLIENT_SECRET_POST", "api.example.com|read:file"]),
        (&builder, ["app_2", "CLIENT_SECRET_POST", "a|b"]),
        (&source, ["app_3", "token source", "orders|read"]),
    ] {
        for part in parts {
            assert!(shown.contains(part), "{part} is missing in: {shown}");
        }
        assert!(!shown.contains(MARKER), "{shown}");
    }
    let pasted = "hunter2".repeat(20);
    let shown = format!("{:?}", Idaas::builder().client_id(&pasted).scope(&pasted));
    assert!(!shown.contains(MARKER), "{shown}");
}

/// Whether what is shared between handles needs a name of its own.
fn is_custom(builder: IdaasBuilder) -> bool {
    let (sender, receiver) = std::sync::mpsc::channel();
    let wrapped = builder.wrap_source(move |inner, context| {
        sender.send(context.is_custom()).unwrap();
        Ok(inner)
    });
    wrapped.build().unwrap();
    receiver.recv().unwrap()
}

#[derive(Debug)]
struct Wrapped(ClientSecretPost);

impl Authenticator for Wrapped {
    fn authenticate<'a>(&'a self, request: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
        self.0.authenticate(request)
    }
}

#[test]
fn a_method_of_ones_own_is_distinguished_from_the_built_in_one_that_it_wraps() {
    let file = File::new(good().to_string());
    let boxed: Box<dyn Authenticator> = Box::new(secret());
    assert!(!is_custom(file.builder()));
    assert!(!is_custom(file.builder().authenticator(secret())));
    assert!(!is_custom(file.builder().authenticator(std::sync::Arc::new(boxed))));
    assert!(is_custom(file.builder().authenticator(Wrapped(secret()))));
    assert!(is_custom(file.builder().authenticator(authenticator_fn(|request| async { Ok(request) }))));
    assert!(is_custom(sources()));
    assert!(is_custom(sources().client_id("app_1")));
}

/// A method finds its own faults, and they come with all others.
#[derive(Debug)]
struct Faulty;

impl Authenticator for Faulty {
    fn authenticate<'a>(&'a self, _: &'a mut TokenRequest) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }

    fn check(&self, context: &CheckContext<'_>) -> Vec<ConfigFault> {
        let error = context.read_secret(&SecretSource::variable("OWN_KEY")).unwrap_err();
        vec![ConfigFault::new("own_key", error.to_string()), ConfigFault::new("own_id", "is blank")]
    }
}

#[test]
fn faults_of_a_method_of_ones_own_come_with_all_others() {
    let file = File::new(with("clientId", None));
    let error = file.faults(file.builder().authenticator(Faulty));
    let mut found = keys(&error);
    found.sort_unstable();
    assert_eq!(found, ["clientId", "own_id", "own_key"]);
    assert!(error.to_string().contains("`own_key` environment variable OWN_KEY is not set"), "{error}");
}

#[tokio::test]
async fn another_scope_is_prefetched_and_peeked_at_like_the_default_one() {
    let idaas = sources().build().unwrap();
    let scope = Scope::try_from("stock|read").unwrap();
    assert!(idaas.peek_for(&scope).is_none());
    idaas.prefetch_for(&scope).await.unwrap();
    assert_eq!(idaas.peek_for(&scope).unwrap().expose_token(), "for-stock");
    assert!(idaas.peek().is_none());
}

#[tokio::test]
async fn a_secret_in_a_file_that_the_configuration_names_is_read_again() {
    let issuer = TestIdaas::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, format!("{}\n", issuer.secret().expose_secret())).unwrap();
    let text: Value = serde_json::from_str(&issuer.client_config(ClientAuthentication::SecretPost)).unwrap();
    let mut text = text;
    text["authnConfiguration"].as_object_mut().unwrap().remove("clientSecretEnvVarName");
    text["authnConfiguration"]["clientSecretFilePath"] = json!(secret);
    let builder = || {
        let builder = Idaas::builder().config_text(text.to_string()).environment(ManualEnvironment::new());
        builder.root_certificate(issuer.root_certificate_pem())
    };
    let idaas = builder().build().unwrap();
    idaas.token().await.unwrap();
    issuer.set_secret("another-secret-of-the-client");
    std::fs::write(&secret, "another-secret-of-the-client").unwrap();
    idaas.token_for(&"api://other|read".parse().unwrap()).await.unwrap();
    std::fs::remove_file(&secret).unwrap();
    let error = builder().build().unwrap_err();
    assert_eq!(keys(&error), ["authnConfiguration.clientSecretFilePath"]);
    assert!(error.to_string().contains(&*secret.to_string_lossy()), "{error}");
}
