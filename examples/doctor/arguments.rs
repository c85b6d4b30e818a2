//! What was asked for on the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use super::demo::Fault;

pub(crate) const ABOUT: &str = "Tells why a token of Alibaba Cloud IDaaS does not come.";

pub(crate) const USAGE: &str = "\
Usage: doctor [--json] [PATH | --demo[=FAULT]]

  PATH            the client-config.json to look at; without it, the one that
                  CLOUD_IDAAS_CONFIG_PATH names, else ~/.cloud_idaas/client-config.json
  --demo          a demonstration: offline, against an IDaaS in this process, with a
                  configuration of its own instead of yours
  --demo=FAULT    the same with something wrong: wrong-secret, missing-variable,
                  endpoint-down, untrusted-certificate, clock-off, expired-certificate,
                  typo-in-key
  --json          one JSON object instead of text
  --help          this

Exit code 0 when a token came and nothing failed, else 1. NO_COLOR turns colours off.
";

#[derive(Debug, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) subject: Subject,
    pub(crate) json: bool,
}

/// What is looked at.
#[derive(Debug, PartialEq)]
pub(crate) enum Subject {
    Help,
    /// The configuration that a service would find here.
    Found,
    File(PathBuf),
    Demo(Option<Fault>),
}

impl Arguments {
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let (mut subject, mut json) = (None, false);
        for argument in arguments {
            let found = match argument.to_str() {
                Some("--json") => {
                    json = true;
                    continue;
                }
                Some("--help" | "-h") => return Ok(Self { subject: Subject::Help, json }),
                Some("--demo") => Subject::Demo(None),
                Some(flag) if flag.starts_with("--demo=") => {
                    let name = flag.trim_start_matches("--demo=");
                    Subject::Demo(Some(Fault::named(name).ok_or(format!("no demo is called `{name}`"))?))
                }
                Some(flag) if flag.starts_with('-') => return Err(format!("`{flag}` is unknown")),
                _ => Subject::File(argument.into()),
            };
            if subject.replace(found).is_some() {
                return Err("expected one path or one demo".to_owned());
            }
        }
        Ok(Self { subject: subject.unwrap_or(Subject::Found), json })
    }
}
