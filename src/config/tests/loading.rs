//! From a file, from code, or from both.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;

use crate::config::tests::*;

#[test]
fn a_complete_file_is_read_completely() {
    let (config, warnings) = check_text(&base().to_string()).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(config.instance_id, "idaas_fake0001");
    assert_eq!(config.client_id, "app_fake0001");
    assert_eq!(config.issuer.unwrap(), "https://tenant.example.com/api/v2/iauths_system/oauth2");
    assert_eq!(
        config.token_endpoint.unwrap(),
        "https://tenant.example.com/api/v2/iauths_system/oauth2/token"
    );
    assert_eq!(config.scope.as_str(), "api.example.com|read:file");
    assert_eq!(config.open_api_endpoint.unwrap(), "https://eiam.cn-hangzhou.aliyuncs.com/");
    assert_eq!(config.developer_api_endpoint.unwrap(), "https://eiam-developerapi.cn-hangzhou.aliyuncs.com/");
    assert!(config.device_authorization_endpoint.is_none());
    assert_eq!((config.connect_timeout, config.read_timeout), (ms(4000), ms(8000)));
    assert_eq!(config.method.name(), "CLIENT_SECRET_POST");
    assert!(debug(&config.method).contains("environment variable APP_SECRET"), "{:?}", config.method);
}

#[test]
fn a_file_like_the_documentations_loads_as_printed() {
    let text = "{
    \"idaasInstanceId\": \"idaas_xxx\",  // the instance
    \"clientId\": \"app_xxx\",           // the application
    \"issuer\": \"https://xxx.aliyunidaas.com/api/v2/iauths_system/oauth2\",
    \"tokenEndpoint\": \"https://xxx.aliyunidaas.com/api/v2/iauths_system/oauth2/token\",
    \"scope\": \"api.example.com|read:file\", /* one audience */
    \"openApiEndpoint\": \"eiam.cn-hangzhou.aliyuncs.com\",
    \"authnConfiguration\": {
        \"identityType\": \"CLIENT\",
        \"authnMethod\": \"CLIENT_SECRET_BASIC\",   // see below
        \"clientSecretEnvVarName\": \"APP_SECRET\",
        \"clientX509Certificate\": \"-----BEGIN CERTIFICATE-----
MIIB
-----END CERTIFICATE-----\",
    },
}";
    let (config, warnings) = check_text(text).unwrap();
    assert_eq!(config.client_id, "app_xxx");
    assert_eq!(
        warnings,
        [
            "`authnConfiguration.clientX509Certificate` is not used by CLIENT_SECRET_BASIC; remove it, or check \
          authnMethod (line 12)"
        ]
    );
}

#[test]
fn code_wins_over_the_file_and_does_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.json");
    std::fs::write(&path, with(&[("authnConfiguration", remove())])).unwrap();
    let mut config_keys = ClientConfig::default();
    config_keys.client.client_id.set("app_of_code");
    config_keys.http.connect_timeout.set(ms(1));
    config_keys.authenticator = Some(Arc::new(ClientSecretPost::new(SecretSource::value(MARKER.to_owned()))));
    let config = load(&ConfigFile::At(path), config_keys.clone(), &environment()).unwrap();
    assert_eq!((config.client_id.as_str(), config.connect_timeout), ("app_of_code", ms(1)));
    assert_eq!((config.instance_id.as_str(), config.read_timeout), ("idaas_fake0001", ms(8000)));

    let error = load(&ConfigFile::Absent, config_keys.clone(), &environment()).unwrap_err();
    assert_eq!(keys(&error), ["idaasInstanceId", "issuer", "tokenEndpoint"]);
    assert!(error.to_string().starts_with("configuration has 3 faults: "), "{error}");

    config_keys.client.idaas_instance_id.set("i");
    config_keys.client.issuer.set("https://t.example.com");
    config_keys.client.token_endpoint.set("https://t.example.com/token");
    config_keys.authenticator =
        Some(Arc::new(crate::authn::authenticator_fn(|request| async { Ok(request) })));
    let config = load(&ConfigFile::Absent, config_keys.clone(), &environment()).unwrap();
    assert!(config.method.is_custom());

    config_keys.http.read_timeout.set(Duration::ZERO);
    let error = load(&ConfigFile::Absent, config_keys, &environment()).unwrap_err();
    assert_eq!(error.faults()[0].key(), "httpConfiguration.readTimeout");
}

#[test]
fn the_file_is_found_by_its_variable_and_every_message_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.json");
    let shown = path.display().to_string();
    let variables = ManualEnvironment::from_iter([("APP_SECRET", SECRET)]);
    variables.set("CLOUD_IDAAS_CONFIG_PATH", path.as_os_str());
    let load_found =
        || load(&ConfigFile::Search, ClientConfig::default(), &Environment::Manual(variables.clone()));
    for text in [None, Some("{'a': 1}"), Some("[]"), Some("{}")] {
        text.into_iter().for_each(|text| std::fs::write(&path, text).unwrap());
        let error = load_found().unwrap_err().to_string();
        assert!(error.starts_with(&format!("configuration {shown}")), "{error}");
    }
    std::fs::write(&path, format!("\u{feff}{}", base())).unwrap();
    assert_eq!(load_found().unwrap().client_id, "app_fake0001");
}

#[test]
fn each_warning_is_one_event_that_names_file_and_key_and_no_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.json");
    std::fs::write(&path, with(&[("clientSecret", json!(MARKER)), ("scope", remove())])).unwrap();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        load(&ConfigFile::At(path.clone()), ClientConfig::default(), &environment()).unwrap();
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let events: Vec<_> = text.lines().collect();
    assert_eq!(events.len(), 2, "{text}");
    for (event, key) in events.iter().zip(["`clientSecret`", "`scope`"]) {
        assert!(event.contains("WARN") && event.contains(key), "{event}");
        assert!(event.contains(&path.display().to_string()), "{event}");
    }
    assert!(!text.contains(MARKER) && !text.contains(SECRET), "{text}");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
