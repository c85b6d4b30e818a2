//! One request, reduced to what must be equal.

use std::collections::BTreeMap;

use http::{HeaderMap, Method, Uri};
use serde_json::Value;

/// A request of ours or of the vendor's client.
#[derive(Debug, PartialEq)]
pub(crate) struct Sent {
    /// Method, scheme, host and path.
    target: [String; 4],
    pub(crate) query: String,
    content_type: Option<String>,
    /// Decoded: which characters are encoded is the encoder's habit, as is the order.
    pub(crate) form: BTreeMap<String, String>,
    pub(crate) authorization: Option<String>,
    /// The headers of the metadata service's and the OpenAPI's own.
    headers: BTreeMap<String, String>,
}

impl Sent {
    /// What was just sent.
    pub(crate) fn new(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Self {
        let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()));
        let target = [
            method.as_str(),
            uri.scheme_str().unwrap(),
            uri.authority().unwrap().as_str(),
            uri.path(),
            uri.query().unwrap_or_default(),
        ];
        Self::of(target, headers.collect(), form_urlencoded::parse(body).into_owned().collect())
    }

    /// What a capture holds.
    pub(crate) fn captured(request: &Value) -> Self {
        let target = ["method", "scheme", "host", "url_path", "query"];
        let headers = pairs(&request["headers"]).into_iter();
        Self::of(
            target.map(|part| request[part].as_str().unwrap()),
            headers.map(|(name, value)| (name.to_lowercase(), value)).collect(),
            pairs(&request["form"]),
        )
    }

    fn of(target: [&str; 5], headers: Vec<(String, String)>, form: Vec<(String, String)>) -> Self {
        let [method, scheme, host, path, query] = target.map(str::to_owned);
        let mut headers = without_repeats(headers);
        Self {
            target: [method, scheme, host, path],
            query,
            content_type: headers.remove("content-type"),
            form: without_repeats(form),
            authorization: headers.remove("authorization"),
            headers: headers.into_iter().filter(|(name, _)| name.starts_with("x-")).collect(),
        }
    }

    #[cfg(feature = "aliyun")]
    pub(crate) fn header_names(&self) -> impl Iterator<Item = &str> {
        self.headers.keys().map(String::as_str)
    }

    #[cfg(feature = "aliyun")]
    pub(crate) fn find_header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    #[cfg(feature = "aliyun")]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.find_header(name).unwrap_or_else(|| panic!("no header `{name}`"))
    }

    /// What was sent in a URL, as if it had been sent in a body with the rest.
    #[cfg(feature = "aliyun")]
    pub(crate) fn move_query_into_form(&mut self) {
        let query = std::mem::take(&mut self.query);
        let form = std::mem::take(&mut self.form).into_iter();
        self.form =
            without_repeats(form.chain(form_urlencoded::parse(query.as_bytes()).into_owned()).collect());
        self.target[0] = "POST".to_owned();
        self.content_type = Some("application/x-www-form-urlencoded".to_owned());
    }

    /// Takes a header out, where it is known to be.
    #[cfg(feature = "aliyun")]
    pub(crate) fn take_header(&mut self, name: &str) -> String {
        self.headers.remove(name).unwrap_or_else(|| panic!("no header `{name}`"))
    }

    /// Takes a field out of the form, where it is known to be.
    pub(crate) fn take(&mut self, field: &str) -> String {
        self.form.remove(field).unwrap_or_else(|| panic!("no field `{field}`"))
    }
}

fn pairs(pairs: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    pairs.as_array().unwrap().iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

fn without_repeats(pairs: Vec<(String, String)>) -> BTreeMap<String, String> {
    let count = pairs.len();
    let map = BTreeMap::from_iter(pairs);
    assert_eq!(map.len(), count, "a name is repeated");
    map
}
