//! The keys of `client-config.json`: what templates, explanations and the schema are made from. A test holds the table
//! against the keys that the library reads.

use super::methods::METHOD_NAMES;

/// A key of the file.
#[derive(Debug)]
pub(crate) struct Key {
    /// With the name of its section: `authnConfiguration.authnMethod`.
    pub(crate) path: &'static str,
    pub(crate) kind: Kind,
    pub(crate) meaning: &'static str,
    /// What a template writes.
    pub(crate) example: &'static str,
    pub(crate) default: Option<&'static str>,
    /// Whether every file has it, whatever the method.
    pub(crate) is_required: bool,
    /// Whether the vendor's own clients know it.
    pub(crate) is_of_vendor: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Object,
    Text,
    /// A URL, or a host alone.
    Endpoint,
    Word(&'static [&'static str]),
    Milliseconds,
    Flag,
}

/// Stands in templates for what only the reader knows.
pub(crate) const PLACEHOLDER: &str = "REPLACE_ME";

/// What the samples of the documents have in its place: the two ids, and the host.
pub(crate) const EXAMPLES: [&str; 3] = ["idaas_example", "app_example", "example.aliyunidaas.com"];

const KEY: Key = Key {
    path: "",
    kind: Kind::Text,
    meaning: "",
    example: "",
    default: None,
    is_required: false,
    is_of_vendor: true,
};

pub(crate) const KEYS: &[Key] = &[
    Key {
        path: "idaasInstanceId",
        meaning: "The id of the IDaaS instance.",
        example: "idaas_REPLACE_ME",
        is_required: true,
        ..KEY
    },
    Key {
        path: "clientId",
        meaning: "The id of the M2M application in IDaaS.",
        example: "app_REPLACE_ME",
        is_required: true,
        ..KEY
    },
    Key {
        path: "issuer",
        kind: Kind::Endpoint,
        meaning: "The issuer's URL, as the IDaaS console shows it.",
        example: "https://REPLACE_ME.aliyunidaas.com/api/v2/iauths_system/oauth2",
        is_required: true,
        ..KEY
    },
    Key {
        path: "tokenEndpoint",
        kind: Kind::Endpoint,
        meaning: "The URL of the token endpoint, as the IDaaS console shows it.",
        example: "https://REPLACE_ME.aliyunidaas.com/api/v2/iauths_system/oauth2/token",
        is_required: true,
        ..KEY
    },
    Key {
        path: "scope",
        meaning: "What tokens are for: items `audience|permission`, separated by spaces, all of one audience. \
                  `audience|.all` stands for all permissions that are granted. Cloud roles and secrets stored in IDaaS \
                  are requested with it if its audience is `urn:cloud:idaas:pam`, else with \
                  `urn:cloud:idaas:pam|.all`.",
        example: "REPLACE_ME|.all",
        default: Some("urn:cloud:idaas:pam|cloud_account:obtain_access_credential, with a warning"),
        ..KEY
    },
    Key {
        path: "openApiEndpoint",
        kind: Kind::Endpoint,
        meaning: "The host of the EIAM OpenAPI, which method PLUGIN gets tokens from.",
        example: "eiam.cn-hangzhou.aliyuncs.com",
        ..KEY
    },
    Key {
        path: "developerApiEndpoint",
        kind: Kind::Endpoint,
        meaning: "The host of the DeveloperAPI, which credentials of cloud roles come from.",
        example: "eiam-developerapi.cn-hangzhou.aliyuncs.com",
        ..KEY
    },
    Key {
        path: "deviceAuthorizationEndpoint",
        kind: Kind::Endpoint,
        meaning: "The URL of the device authorization endpoint. It is checked, and not used by machine-to-machine clients.",
        example: "https://REPLACE_ME.aliyunidaas.com/api/v2/iauths_system/oauth2/device/code",
        ..KEY
    },
    Key {
        path: "authnConfiguration",
        kind: Kind::Object,
        meaning: "How the client authenticates.",
        is_required: true,
        ..KEY
    },
    Key {
        path: "authnConfiguration.identityType",
        kind: Kind::Word(&["CLIENT"]),
        meaning: "What kind of identity authenticates. Only CLIENT is supported.",
        example: "CLIENT",
        default: Some("CLIENT"),
        ..KEY
    },
    Key {
        path: "authnConfiguration.authnMethod",
        kind: Kind::Word(&METHOD_NAMES),
        meaning: "The method of authentication.",
        is_required: true,
        ..KEY
    },
    Key {
        path: "authnConfiguration.clientSecretEnvVarName",
        meaning: "The name of the environment variable that holds the client secret. The secret itself never goes into \
                  the file.",
        example: "IDAAS_CLIENT_SECRET",
        ..KEY
    },
    Key {
        path: "authnConfiguration.clientSecretFilePath",
        meaning: "The path of the file that holds the client secret.",
        example: "/run/secrets/idaas-client-secret",
        is_of_vendor: false,
        ..KEY
    },
    Key {
        path: "authnConfiguration.privateKeyEnvVarName",
        meaning: "The name of the environment variable that holds the private key, as PEM.",
        example: "IDAAS_PRIVATE_KEY",
        ..KEY
    },
    Key {
        path: "authnConfiguration.privateKeyFilePath",
        meaning: "The path of the PEM file that holds the private key.",
        example: "/run/secrets/idaas-private-key.pem",
        is_of_vendor: false,
        ..KEY
    },
    Key {
        path: "authnConfiguration.privateKeyPassphraseEnvVarName",
        meaning: "The name of the environment variable that holds the passphrase of an encrypted private key.",
        example: "IDAAS_PRIVATE_KEY_PASSPHRASE",
        is_of_vendor: false,
        ..KEY
    },
    Key {
        path: "authnConfiguration.privateKeyId",
        meaning: "The `kid` of assertions: which of the registered public keys verifies them.",
        example: "REPLACE_ME",
        is_of_vendor: false,
        ..KEY
    },
    Key {
        path: "authnConfiguration.signingAlgorithm",
        kind: Kind::Word(&["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]),
        meaning: "What assertions are signed with.",
        example: "RS256",
        default: Some("the algorithm that suits the key"),
        is_of_vendor: false,
        ..KEY
    },
    Key {
        path: "authnConfiguration.applicationFederatedCredentialName",
        meaning: "The name of the application's federated credential in IDaaS.",
        example: "REPLACE_ME",
        ..KEY
    },
    Key {
        path: "authnConfiguration.clientDeployEnvironment",
        kind: Kind::Word(&["KUBERNETES", "GOOGLE_VM", "ALIBABA_CLOUD_ECS", "ALIBABA_CLOUD_ECI", "AWS_EC2"]),
        meaning: "Where the program runs, which is what proves its identity.",
        ..KEY
    },
    Key {
        path: "authnConfiguration.oidcTokenFilePath",
        meaning: "The path of the service account token.",
        example: "/var/run/secrets/kubernetes.io/serviceaccount/token",
        default: Some("/var/run/secrets/kubernetes.io/serviceaccount/token"),
        ..KEY
    },
    Key {
        path: "authnConfiguration.oidcTokenFilePathEnvVarName",
        meaning: "The name of the environment variable that holds the path of the service account token; \
                  `oidcTokenFilePath` wins over it.",
        example: "IDAAS_OIDC_TOKEN_FILE",
        ..KEY
    },
    Key {
        path: "authnConfiguration.clientX509Certificate",
        meaning: "The client's certificate, as PEM.",
        example: "-----BEGIN CERTIFICATE-----\\nREPLACE_ME\\n-----END CERTIFICATE-----\\n",
        ..KEY
    },
    Key {
        path: "authnConfiguration.clientX509CertificatePath",
        meaning: "The path of the PEM file that holds the client's certificate.",
        example: "/run/secrets/idaas-client-certificate.pem",
        is_of_vendor: false,
        ..KEY
    },
    Key {
        path: "authnConfiguration.x509CertChains",
        meaning: "The intermediate certificates, as PEM, one after the other.",
        example: "-----BEGIN CERTIFICATE-----\\nREPLACE_ME\\n-----END CERTIFICATE-----\\n",
        ..KEY
    },
    Key {
        path: "authnConfiguration.x509CertChainsPath",
        meaning: "The path of the PEM file that holds the intermediate certificates.",
        example: "/run/secrets/idaas-certificate-chain.pem",
        is_of_vendor: false,
        ..KEY
    },
    Key {
        path: "authnConfiguration.pluginName",
        meaning: "The name of the plugin that tokens come from: the vendor's, or one that the program registers in code.",
        example: "alibabacloudPluginCredentialProvider",
        ..KEY
    },
    Key { path: "httpConfiguration", kind: Kind::Object, meaning: "How token requests are sent.", ..KEY },
    Key {
        path: "httpConfiguration.connectTimeout",
        kind: Kind::Milliseconds,
        meaning: "How long a connection may take, in milliseconds.",
        example: "5000",
        default: Some("5000"),
        ..KEY
    },
    Key {
        path: "httpConfiguration.readTimeout",
        kind: Kind::Milliseconds,
        meaning: "How long the response may take, in milliseconds.",
        example: "10000",
        default: Some("10000"),
        ..KEY
    },
    Key {
        path: "httpConfiguration.unsafeIgnoreSslCert",
        kind: Kind::Flag,
        meaning: "Known, and ignored: certificates stay verified. SSL_CERT_FILE names a private authority.",
        example: "false",
        default: Some("false"),
        ..KEY
    },
];

pub(crate) const MILLISECONDS: std::ops::RangeInclusive<u64> = 2_000..=60_000;

impl Key {
    /// Without the name of its section.
    pub(crate) fn name(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, name)| name)
    }

    /// As the vendor's other spelling has it.
    pub(crate) fn snake_name(&self) -> String {
        let mut snake = String::with_capacity(self.path.len());
        for letter in self.name().chars() {
            if letter.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        }
        snake
    }

    /// The name of its section, empty at the top level.
    pub(crate) fn section(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// The key of this path, or of this name in either spelling.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.path == name || key.name() == name || key.snake_name() == name)
    }

    /// The keys of a section.
    pub(crate) fn of_section(section: &str) -> impl Iterator<Item = &'static Self> {
        KEYS.iter().filter(move |key| key.section() == section)
    }
}

#[cfg(test)]
mod tests {
    use super::super::methods::METHODS;
    use super::*;

    #[test]
    fn the_table_has_the_keys_of_the_library_and_no_others() {
        let ours: Vec<&str> = KEYS.iter().map(|key| key.path).collect();
        assert_eq!(ours, tower_idaas::explanation::Explanation::known_keys());
        for key in KEYS.iter().filter(|key| key.section() == "authnConfiguration") {
            assert!(METHODS.iter().any(|method| method.reads(key.name())), "{} is read by none", key.path);
        }
    }
}
