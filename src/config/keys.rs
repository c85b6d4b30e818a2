//! The keys of `client-config.json`, with the values that code and the file set.

use std::sync::Arc;
use std::time::Duration;

use crate::authn::{Authenticator, vendor_name};
use crate::config::document::Document;
use crate::config::section::{Field, Section};
use crate::error::ConfigFault;

const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Declares one object of the file: each key once, with its type and its place.
macro_rules! keys {
    ($(#[$about:meta])* $name:ident in $prefix:literal { $($field:ident: $type:ty = $key:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name { $(pub(crate) $field: Field<$type>,)* }

        impl $name {
            const PATHS: &'static [&'static str] = &[$(concat!($prefix, $key)),*];

            fn fill(&mut self, section: Section<'_>, faults: &mut Vec<ConfigFault>) {
                $(section.fill(&mut self.$field, faults);)*
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: Field::absent(concat!($prefix, $key)),)* }
            }
        }
    };
}

/// The same for an object whose values are all texts.
macro_rules! text_keys {
    ($(#[$about:meta])* $name:ident in $prefix:literal { $($field:ident = $key:literal,)* }) => {
        keys! { $(#[$about])* $name in $prefix { $($field: String = $key,)* } }

        impl $name {
            pub(super) fn texts(&self) -> Vec<&Field<String>> {
                vec![$(&self.$field),*]
            }
        }
    };
}

text_keys! {
    /// The keys of the top level.
    ClientKeys in "" {
        idaas_instance_id = "idaasInstanceId",
        client_id = "clientId",
        issuer = "issuer",
        token_endpoint = "tokenEndpoint",
        scope = "scope",
        open_api_endpoint = "openApiEndpoint",
        developer_api_endpoint = "developerApiEndpoint",
        device_authorization_endpoint = "deviceAuthorizationEndpoint",
    }
}

text_keys! {
    /// How the client authenticates.
    AuthnKeys in "authnConfiguration." {
        identity_type = "identityType",
        authn_method = "authnMethod",
        client_secret_env_var_name = "clientSecretEnvVarName",
        client_secret_file_path = "clientSecretFilePath",
        private_key_env_var_name = "privateKeyEnvVarName",
        private_key_file_path = "privateKeyFilePath",
        private_key_passphrase_env_var_name = "privateKeyPassphraseEnvVarName",
        private_key_id = "privateKeyId",
        signing_algorithm = "signingAlgorithm",
        application_federated_credential_name = "applicationFederatedCredentialName",
        client_deploy_environment = "clientDeployEnvironment",
        oidc_token_file_path = "oidcTokenFilePath",
        oidc_token_file_path_env_var_name = "oidcTokenFilePathEnvVarName",
        client_x509_certificate = "clientX509Certificate",
        client_x509_certificate_path = "clientX509CertificatePath",
        x509_cert_chains = "x509CertChains",
        x509_cert_chains_path = "x509CertChainsPath",
        plugin_name = "pluginName",
    }
}

keys! {
    /// How token requests are sent.
    HttpKeys in "httpConfiguration." {
        connect_timeout: Duration = "connectTimeout",
        read_timeout: Duration = "readTimeout",
        unsafe_ignore_ssl_cert: bool = "unsafeIgnoreSslCert",
    }
}

/// All keys: those set in code, and the others from a file.
#[derive(Clone, Debug)]
pub(crate) struct ClientConfig {
    pub(crate) client: ClientKeys,
    pub(crate) authn: AuthnKeys,
    pub(crate) http: HttpKeys,
    /// Set in code only: then `authnConfiguration` is not used.
    pub(crate) authenticator: Option<Arc<dyn Authenticator>>,
    /// Set in code only: whether there is a source of tokens, which needs only a scope beside it.
    pub(crate) has_source: bool,
    /// Set in code only: whether the plugin's name is, which makes `authnMethod` PLUGIN.
    pub(crate) is_plugin: bool,
    /// Set in code only: the names of the registered plugins.
    pub(crate) plugin_names: Vec<String>,
    /// Set in code only: the address of the metadata service.
    pub(crate) metadata_address: Option<String>,
    pub(super) authn_section: Field<()>,
    http_section: Field<()>,
    /// The faults of the file's values.
    pub(super) faults: Vec<ConfigFault>,
    pub(super) unknown_keys: Vec<ConfigFault>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            client: ClientKeys::default(),
            authn: AuthnKeys::default(),
            http: HttpKeys::default(),
            authenticator: None,
            has_source: false,
            is_plugin: false,
            plugin_names: Vec::new(),
            metadata_address: None,
            authn_section: Field::absent("authnConfiguration"),
            http_section: Field::absent("httpConfiguration"),
            faults: Vec::new(),
            unknown_keys: Vec::new(),
        }
    }
}

impl ClientConfig {
    /// The method that code has chosen, for messages.
    pub(crate) fn method_name(&self) -> Option<&'static str> {
        match &self.authenticator {
            _ if self.has_source => Some("token source"),
            _ if self.is_plugin => Some("PLUGIN"),
            Some(authenticator) => Some(vendor_name(&**authenticator).unwrap_or("authenticator")),
            None => None,
        }
    }

    /// The time-outs, with the defaults for those that are not set.
    pub(crate) fn timeouts(&self) -> (Duration, Duration) {
        let connect = self.http.connect_timeout.get().copied();
        let read = self.http.read_timeout.get().copied();
        (connect.unwrap_or(DEFAULT_CONNECT_TIMEOUT), read.unwrap_or(DEFAULT_READ_TIMEOUT))
    }

    /// Every known key, in the order in which faults are reported.
    pub(crate) fn paths() -> Vec<&'static str> {
        let sections = [
            ClientKeys::PATHS,
            &["authnConfiguration"],
            AuthnKeys::PATHS,
            &["httpConfiguration"],
            HttpKeys::PATHS,
        ];
        sections.concat()
    }

    /// Takes from the file's text what code has not set.
    pub(super) fn fill(&mut self, text: &str) -> Result<(), ConfigFault> {
        let document = Document::parse(text)?;
        let known = Self::paths();
        let root = Section::root(document.members(), document.lines());
        self.client.fill(root, &mut self.faults);
        self.unknown_keys.extend(root.unknown_keys(&known));
        if let Some(authn) = root.section(&mut self.authn_section, "authnConfiguration.", &mut self.faults) {
            self.authn.fill(authn, &mut self.faults);
            self.unknown_keys.extend(authn.unknown_keys(&known));
        }
        if let Some(http) = root.section(&mut self.http_section, "httpConfiguration.", &mut self.faults) {
            self.http.fill(http, &mut self.faults);
            self.unknown_keys.extend(http.unknown_keys(&known));
        }
        Ok(())
    }
}
