//! Form fields, read strictly.

use crate::issuer::refusal::Refusal;

/// The fields of a form, in the order they came, each name once.
#[derive(Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// A repeated field is a fault (RFC 6749 section 3.2), and so is text that is not UTF-8.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut fields: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(body) {
            if name.contains('\u{fffd}') || value.contains('\u{fffd}') {
                return Err(Refusal::invalid_request("the form is not UTF-8"));
            }
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(Refusal::invalid_request(format!("field `{}` is repeated", name.escape_debug())));
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(fields))
    }

    /// The field's value; an empty one counts as absent (RFC 6749 section 3.2).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        (!value.is_empty()).then_some(value)
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::invalid_request(format!("field `{name}` is missing")))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}
