//! OIDC: the file with the token of another issuer, and the claims of that token.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::super::config_file::ConfigFile;
use super::super::display;
use super::super::finding::{Finding, Step};
use super::super::surroundings::Surroundings;
use super::claims::Claims;
use crate::input;

const DEFAULT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

pub(crate) fn examine(config: &ConfigFile, faults: Vec<String>, surroundings: &Surroundings) -> Finding {
    if !faults.is_empty() {
        return Finding::failed(Step::Credential, "the service account token cannot be used").notes(faults).advise(
            "the pod's projected service account token is not mounted where the configuration says",
            "mount a `serviceAccountToken` volume whose audience is the one of the federated credential, and give \
             its path in `oidcTokenFilePath`",
        );
    }
    let (path, by) = path(config, surroundings);
    let text = input::text(&surroundings.expand(&path)).unwrap_or_default();
    let finding = Finding::ok(Step::Credential, "a token of another issuer, in a file");
    let finding = finding.fact("file", path.display()).fact("found", by);
    let Some(claims) = Claims::of(text.trim()) else {
        return finding.warn("the file holds no JWT, which is what IDaaS accepts here");
    };
    judge(finding.facts(claims.facts(&["iss", "sub", "aud"])), &claims, SystemTime::now())
}

fn judge(finding: Finding, claims: &Claims, now: SystemTime) -> Finding {
    let Some(expiry) = claims.time("exp") else {
        return finding.warn("it has no claim `exp`, so its end is unknown");
    };
    let finding = finding.fact("expires", display::time_from(expiry, now));
    if now.duration_since(expiry).is_ok_and(|late| late > Duration::from_secs(60)) {
        let failed =
            Finding::failed(Step::Credential, "the token in the file has expired").facts(finding.facts);
        return failed.advise(
            "IDaaS refuses it: the process that renews the file has stopped, or this machine's clock is ahead",
            "check that the volume is a projected one (`serviceAccountToken`), not a copy made at start-up",
        );
    }
    finding
}

fn path(config: &ConfigFile, surroundings: &Surroundings) -> (PathBuf, &'static str) {
    if let Some(path) = config.get("oidcTokenFilePath") {
        return (Path::new(path).to_owned(), "named by `oidcTokenFilePath`");
    }
    let variable = config.get("oidcTokenFilePathEnvVarName").unwrap_or_default();
    match surroundings.first(&[variable]) {
        Some((_, path)) => (path.into(), "named by the variable in `oidcTokenFilePathEnvVarName`"),
        None => (DEFAULT_PATH.into(), "the default"),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::super::super::finding::Mark;
    use super::*;

    #[test]
    fn an_expiry_of_any_size_is_judged_and_shown() {
        for (expiry, mark, shown) in [
            ("1600000000", Mark::Failed, "2020-09-13T12:26:40Z ("),
            ("2000000000", Mark::Ok, "2033-05-18T03:33:20Z (in "),
            // Milliseconds where seconds belong, the first second of the year 10000, and the last time there is.
            ("1764426505000", Mark::Ok, "9999-12-31T23:59:59Z (in "),
            ("253402300800", Mark::Ok, "9999-12-31T23:59:59Z (in "),
            ("9223372036854774000", Mark::Ok, "9999-12-31T23:59:59Z (in "),
        ] {
            let payload = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{expiry}}}"#));
            let claims = Claims::of(&format!("e30.{payload}.c2ln")).unwrap();
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
            let finding = judge(Finding::ok(Step::Credential, "a token"), &claims, now);
            assert_eq!(finding.mark, mark, "{expiry}");
            assert!(finding.facts.iter().any(|(_, fact)| fact.starts_with(shown)), "{:?}", finding.facts);
        }
    }
}
