//! What a client of the emulator is given, in files and on stdout.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tower_idaas::{BoxError, Scope};
use tower_idaas_testing::TestIdaas;

use super::method::Method;
use super::servers::Servers;
use crate::shell;

/// No emulator lives longer: it need not renew the token of the service account, as a cluster does.
const SERVICE_ACCOUNT_TOKEN_LIFE: Duration = Duration::from_secs(366 * 24 * 3600);

pub(super) struct Emulated {
    pub(super) config: Value,
    pub(super) environment: BTreeMap<&'static str, String>,
}

impl Emulated {
    /// Writes what the method needs to the directory.
    ///
    /// # Errors
    ///
    /// When it cannot be written there, or the directory's path is no text.
    pub(super) fn write(
        servers: &Servers,
        scope: &Scope,
        method: Method,
        dir: &Path,
    ) -> Result<Self, BoxError> {
        let absolute = std::path::absolute(dir).map_err(|error| in_directory(dir, &error))?;
        // A file of variables, and JSON, hold text.
        let no_text = || format!("the path of {} is not UTF-8 text; name another --dir", absolute.display());
        let path = |name: &str| text_of(absolute.join(name)).ok_or_else(no_text);
        let [config, roots, token_file] =
            ["client-config.json", "root-certificate.pem", "service-account-token"];
        let mut emulated = Self {
            config: config_of(servers, scope, method).map_err(|error| in_directory(dir, &error))?,
            environment: BTreeMap::from([
                ("CLOUD_IDAAS_CONFIG_PATH", path(config)?),
                ("SSL_CERT_FILE", path(roots)?),
            ]),
        };
        emulated.environment.extend(credential(servers, method));
        if method == Method::Oidc {
            emulated.environment.insert(TestIdaas::TOKEN_FILE_VARIABLE, path(token_file)?);
        }
        let write = || {
            std::fs::write(absolute.join(config), format!("{:#}\n", emulated.config))?;
            servers.idaas.write_root_certificate(&absolute)?;
            if method == Method::Oidc {
                let token = servers.idaas.service_account_token().life(SERVICE_ACCOUNT_TOKEN_LIFE);
                token.write_to(absolute.join(token_file))?;
            }
            // The last one: where it is, all are.
            std::fs::write(absolute.join("idaas.env"), emulated.file_of_variables())
        };
        write().map_err(|error: io::Error| in_directory(dir, &error))?;
        Ok(emulated)
    }

    fn file_of_variables(&self) -> String {
        let mut file = String::new();
        for (name, value) in &self.environment {
            // Writing to a string does not fail.
            let _ = writeln!(file, "{name}={}", shell::quoted_if_needed(value));
        }
        file
    }
}

fn config_of(servers: &Servers, scope: &Scope, method: Method) -> io::Result<Value> {
    let text = match (method.at_token_endpoint(), &servers.open_api) {
        (Some(method), _) => servers.idaas.client_config(method),
        (None, Some(open_api)) => open_api.client_config(),
        (None, None) => return Err(io::Error::other("the OpenAPI was not started")),
    };
    let mut config: Value = serde_json::from_str(&text)?;
    if let Some(config) = config.as_object_mut() {
        config.insert("scope".to_owned(), scope.as_str().into());
        if let Some(api) = &servers.developer_api {
            config.insert("developerApiEndpoint".to_owned(), api.endpoint().into());
        }
    }
    Ok(config)
}

/// The variables that hold the client's credential, if variables do.
fn credential(servers: &Servers, method: Method) -> Vec<(&'static str, String)> {
    let Servers { idaas, open_api, .. } = servers;
    match method {
        Method::ClientSecretBasic | Method::ClientSecretPost | Method::ClientSecretJwt => {
            vec![(TestIdaas::SECRET_VARIABLE, idaas.secret().expose_secret().to_owned())]
        }
        Method::PrivateKeyJwt | Method::Pca => {
            // On one line, as files of variables have it.
            let key = idaas.private_key_pem().expose_secret().trim_end().replace('\n', "\\n");
            vec![(TestIdaas::PRIVATE_KEY_VARIABLE, key)]
        }
        Method::Oidc | Method::Pkcs7 => Vec::new(),
        Method::Plugin => open_api.as_ref().map_or_else(Vec::new, |open_api| {
            let key = open_api.access_key();
            vec![
                ("ALIBABA_CLOUD_ACCESS_KEY_ID", key.id().to_owned()),
                ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", key.secret().expose_secret().to_owned()),
                // A token that is set already belongs to another key.
                ("ALIBABA_CLOUD_SECURITY_TOKEN", String::new()),
            ]
        }),
    }
}

fn text_of(path: PathBuf) -> Option<String> {
    path.into_os_string().into_string().ok()
}

pub(super) fn in_directory(dir: &Path, error: &io::Error) -> BoxError {
    format!("the files cannot be written to {}: {error}", dir.display()).into()
}
