//! A capture: what was configured, what was done, and what was sent.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::Value;
use tempfile::TempDir;
use tower_idaas::environment::ManualEnvironment;

use super::sent::Sent;

/// Why requests of ours differ on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Difference {
    /// Other headers are signed, or the OpenAPI is asked where the vendor's SDK refuses to.
    #[cfg_attr(not(feature = "aliyun"), allow(dead_code))]
    Plugin,
    /// A line break at the end of a secret or token is no part of it.
    LineBreak,
    /// A key in PKCS#1 signs.
    Pkcs1Key,
    /// What is still good is not fetched again.
    FetchedOnce,
    /// An RSA key of 1024 bits is refused.
    WeakKey,
}

/// Where files of captures lie; here it stands for a temporary directory.
const MOUNT: &str = "/var/run/secrets";

pub(crate) struct Capture {
    pub(crate) name: String,
    json: Value,
    mount: TempDir,
    differences: Rc<RefCell<BTreeSet<Difference>>>,
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The text of a file beside the captures.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(golden().join(path)).unwrap()
}

impl Capture {
    /// Every capture that there is, by name.
    pub(crate) fn all() -> Vec<Self> {
        let names = std::fs::read_dir(golden()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> =
            names.filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).collect();
        names.sort();
        names.iter().map(|name| Self::load(name)).collect()
    }

    /// The capture of this name, with its files in their place.
    pub(crate) fn load(name: &str) -> Self {
        let json = serde_json::from_str(&text(&format!("{name}.json"))).unwrap();
        let mount = tempfile::tempdir().unwrap();
        let capture = Self { name: name.to_owned(), json, mount, differences: Rc::default() };
        for (path, text) in capture.json["files"].as_object().unwrap() {
            let path = PathBuf::from(capture.moved(path));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text.as_str().unwrap()).unwrap();
        }
        capture
    }

    /// Notes a difference where it is met.
    pub(crate) fn differs(&self, difference: Difference) {
        self.differences.borrow_mut().insert(difference);
    }

    /// What is noted by the time that the capture is checked.
    pub(crate) fn differences(&self) -> Rc<RefCell<BTreeSet<Difference>>> {
        Rc::clone(&self.differences)
    }

    pub(crate) fn method(&self) -> &str {
        self.authentication()["authnMethod"].as_str().unwrap()
    }

    pub(crate) fn is_exchange(&self) -> bool {
        self.actions().any(|action| action[0] == "exchange")
    }

    /// The section of the configuration that is about authentication.
    pub(crate) fn authentication(&self) -> &Value {
        &self.json["config"]["authnConfiguration"]
    }

    pub(crate) fn authentication_mut(&mut self) -> &mut Value {
        &mut self.json["config"]["authnConfiguration"]
    }

    /// Writes the configuration, with paths under the temporary directory.
    pub(crate) fn write_config(&self) -> PathBuf {
        self.write(&self.moved(&self.json["config"].to_string()))
    }

    /// Writes the configuration as it was.
    pub(crate) fn write_unmoved_config(&self) -> PathBuf {
        self.write(&self.json["config"].to_string())
    }

    fn write(&self, config: &str) -> PathBuf {
        let path = self.mount.path().join("client-config.json");
        std::fs::write(&path, config).unwrap();
        path
    }

    /// The path under the temporary directory.
    fn moved(&self, text: &str) -> String {
        text.replace(MOUNT, self.mount.path().to_str().unwrap())
    }

    /// The variables: values written in the capture, or in files that it names.
    pub(crate) fn environment(&self) -> ManualEnvironment {
        let names = self.json["env"].as_object().unwrap().keys();
        names.map(|name| (name.clone(), self.variable(name))).collect()
    }

    pub(crate) fn variable(&self, name: &str) -> String {
        match self.variable_file(name) {
            Some(path) => text(path),
            None => self.moved(self.json["env"][name].as_str().unwrap()),
        }
    }

    #[cfg(feature = "aliyun")]
    pub(crate) fn has_variable(&self, name: &str) -> bool {
        self.json["env"].get(name).is_some()
    }

    /// The file that holds the variable's value, if one does.
    pub(crate) fn variable_file(&self, name: &str) -> Option<&str> {
        self.json["env"][name]["from_file"].as_str()
    }

    /// What was done, each a word and its arguments.
    pub(crate) fn actions(&self) -> impl Iterator<Item = &Vec<Value>> {
        self.json["actions"].as_array().unwrap().iter().map(|action| action.as_array().unwrap())
    }

    /// What each action gave: a token, or nothing at the start.
    pub(crate) fn results(&self) -> impl Iterator<Item = Option<&str>> {
        let results = self.json["results"].as_array().unwrap().iter();
        results.map(|result| {
            assert!(result.get("err").is_none(), "{}: the vendor's client failed", self.name);
            result["ok"].as_str()
        })
    }

    pub(crate) fn requests(&self) -> &Vec<Value> {
        self.json["requests"].as_array().unwrap()
    }

    pub(crate) fn requests_mut(&mut self) -> &mut Vec<Value> {
        self.json["requests"].as_array_mut().unwrap()
    }

    /// Expects what another capture shows instead, where the vendor's client failed in this one.
    pub(crate) fn expect_as_in(&mut self, mut other: Self) {
        assert!(self.requests().is_empty(), "{}: there are requests to compare with", self.name);
        assert_eq!(self.json["actions"], other.json["actions"]);
        for what in ["requests", "results"] {
            self.json[what] = other.json[what].take();
        }
    }

    /// Compares all requests in their order. `settle` checks what cannot be the same from run to run, or
    /// differs on purpose, and makes it equal; it is given the captured request, ours and theirs.
    pub(crate) fn assert_sent(&self, sent: Vec<Sent>, mut settle: impl FnMut(&Value, &mut Sent, &mut Sent)) {
        assert_eq!(sent.len(), self.requests().len(), "{}", self.name);
        for (mut ours, captured) in sent.into_iter().zip(self.requests()) {
            let mut theirs = Sent::captured(captured);
            settle(captured, &mut ours, &mut theirs);
            assert_eq!(ours, theirs, "{}", self.name);
        }
    }
}
