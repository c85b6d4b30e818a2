//! The methods of authentication, and the keys that each of them reads. A test holds the table against the library's own
//! reading.

/// A method of authentication: the value of `authnMethod`.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) name: &'static str,
    pub(crate) meaning: &'static str,
    /// Keys of `authnConfiguration` that it needs, one of each group.
    pub(crate) needs: &'static [&'static [&'static str]],
    /// Further keys that it reads, at most one of each group.
    pub(crate) reads: &'static [&'static [&'static str]],
    /// The values of `clientDeployEnvironment` that it knows.
    pub(crate) environments: &'static [&'static str],
}

pub(super) const METHOD_NAMES: [&str; METHODS.len()] = {
    let mut names = [""; METHODS.len()];
    let mut index = 0;
    while index < METHODS.len() {
        #[allow(clippy::indexing_slicing, reason = "evaluated at compile time")]
        {
            names[index] = METHODS[index].name;
        }
        index += 1;
    }
    names
};

const SECRET: &[&str] = &["clientSecretEnvVarName", "clientSecretFilePath"];
const PRIVATE_KEY: &[&str] = &["privateKeyEnvVarName", "privateKeyFilePath"];
const SIGNING: [&[&str]; 3] = [&["privateKeyPassphraseEnvVarName"], &["privateKeyId"], &["signingAlgorithm"]];
const CREDENTIAL_NAME: &[&str] = &["applicationFederatedCredentialName"];
const ENVIRONMENT: &[&str] = &["clientDeployEnvironment"];

pub(crate) const METHODS: [Method; 8] = [
    Method {
        name: "CLIENT_SECRET_BASIC",
        meaning: "the client secret, in the header `Authorization`",
        needs: &[SECRET],
        reads: &[],
        environments: &[],
    },
    Method {
        name: "CLIENT_SECRET_POST",
        meaning: "the client secret, in the form",
        needs: &[SECRET],
        reads: &[],
        environments: &[],
    },
    Method {
        name: "CLIENT_SECRET_JWT",
        meaning: "an assertion that the client secret signs (HS256)",
        needs: &[SECRET],
        reads: &[],
        environments: &[],
    },
    Method {
        name: "PRIVATE_KEY_JWT",
        meaning: "an assertion that a private key signs",
        needs: &[PRIVATE_KEY],
        reads: &SIGNING,
        environments: &[],
    },
    Method {
        name: "PKCS7",
        meaning: "the signed document of a cloud instance's metadata service",
        needs: &[CREDENTIAL_NAME, ENVIRONMENT],
        reads: &[],
        environments: &["ALIBABA_CLOUD_ECS", "ALIBABA_CLOUD_ECI", "AWS_EC2"],
    },
    Method {
        name: "OIDC",
        meaning: "the token of a Kubernetes service account, or of a Google Cloud instance",
        needs: &[CREDENTIAL_NAME, ENVIRONMENT],
        reads: &[&["oidcTokenFilePath"], &["oidcTokenFilePathEnvVarName"]],
        environments: &["KUBERNETES", "GOOGLE_VM"],
    },
    Method {
        name: "PCA",
        meaning: "an assertion that the key of an X.509 certificate signs",
        needs: &[CREDENTIAL_NAME, PRIVATE_KEY, &["clientX509CertificatePath", "clientX509Certificate"]],
        reads: &[
            &["x509CertChainsPath", "x509CertChains"],
            &["privateKeyPassphraseEnvVarName"],
            &["privateKeyId"],
            &["signingAlgorithm"],
        ],
        environments: &[],
    },
    Method {
        name: "PLUGIN",
        meaning: "tokens from the EIAM OpenAPI for an Alibaba Cloud credential, or from a plugin of the program's",
        needs: &[&["pluginName"]],
        reads: &[],
        environments: &[],
    },
];

impl Method {
    pub(crate) fn needs(&self, name: &str) -> bool {
        self.needs.iter().any(|group| group.contains(&name))
    }

    /// Whether a key of `authnConfiguration` says something to this method.
    pub(crate) fn reads(&self, name: &str) -> bool {
        matches!(name, "authnMethod" | "identityType")
            || self.needs(name)
            || self.reads.iter().any(|group| group.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::{Key, Kind};
    use super::*;
    use crate::doctor::steps::built::Built;
    use crate::doctor::steps::file;
    use crate::doctor::surroundings::Surroundings;

    #[test]
    fn a_method_reads_what_the_library_reads_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client-config.json");
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let surroundings =
            Surroundings::of_demo([("IDAAS_CLIENT_SECRET", "s"), ("IDAAS_PRIVATE_KEY", key.as_str())]);
        // Those whose files can be used here, since only then the library warns.
        let usable =
            |method: &&Method| method.name.starts_with("CLIENT_SECRET_") || method.name == "PRIVATE_KEY_JWT";
        for method in METHODS.iter().filter(usable) {
            for key in Key::of_section("authnConfiguration").filter(|key| !method.needs(key.name())) {
                let Kind::Text = key.kind else { continue };
                let text = crate::config::template::text(method, &Default::default());
                let with = format!("{{\n\"{}\": \"x\",\n\"identityType\"", key.name());
                std::fs::write(&path, text.replace("{\n    \"identityType\"", &with)).unwrap();
                let built = Built::new(file::builder(Some(&path), &surroundings), &path);
                let is_unused = built.warnings.iter().any(|warning| warning.contains("is not used by"));
                assert_eq!(is_unused, !method.reads(key.name()), "{} {built:?}", key.path);
            }
        }
    }
}
